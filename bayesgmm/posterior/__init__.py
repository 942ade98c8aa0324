"""Reading a posterior: labels, diagnosis, prediction and partitions.

It takes any posterior in the schema of `sample_posterior`, and knows neither how it was made (`bayes`) nor `em`.
"""
