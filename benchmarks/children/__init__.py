"""What has to be measured in a new process: each module prints its result as a line of JSON."""
