# mclust_bootstrap.R folder N D K type replicates: refits of mclust's VVV model to resampled rows.
# Prints the seconds that they take, then the standard deviations over them of weights, means (component by component),
# standard deviations and correlations, components in decreasing order of weight.
suppressPackageStartupMessages(library(mclust))

arguments <- commandArgs(trailingOnly = TRUE)
sizes <- as.integer(arguments[2:4])
N <- sizes[1]; D <- sizes[2]; K <- sizes[3]
data <- matrix(readBin(file.path(arguments[1], "data.bin"), "double", N * D), N, D, byrow = TRUE)

set.seed(1)
fit <- Mclust(data, G = K, modelNames = "VVV", verbose = FALSE)
run <- function(n) MclustBootstrap(fit, nboot = n, type = arguments[5], verbose = FALSE)
invisible(run(2))  # R compiles what it calls for the first time
seconds <- system.time(found <- run(as.integer(arguments[6])))[["elapsed"]]

order <- order(-fit$parameters$pro)
spread <- function(values) sqrt(mean((values - mean(values))^2))
values <- c()
for (k in order) values <- c(values, list(found$pro[, k]))
for (k in order) for (d in seq_len(D)) values <- c(values, list(found$mean[, d, k]))
for (k in order) for (d in seq_len(D)) values <- c(values, list(sqrt(found$variance[, d, d, k])))
for (k in order) for (i in seq_len(D)) for (j in seq_len(i - 1)) {
  covariance <- found$variance[, i, j, k]
  values <- c(values, list(covariance / sqrt(found$variance[, i, i, k] * found$variance[, j, j, k])))
}
# The jackknife's replicates differ by a row: their sum of squares, not its mean, estimates the variance.
factor <- if (arguments[5] == "jk") sqrt(N - 1) else 1
cat(seconds, factor * sapply(values, spread), "\n")
