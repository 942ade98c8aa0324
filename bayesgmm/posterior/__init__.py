"""Reading a posterior: labels, diagnosis, prediction and partitions.

It takes any posterior in the schema, and knows nothing of how it was made (`bayes`) or of `em`.
"""
