"""What a mixture is: values and mathematics."""
