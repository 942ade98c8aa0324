# mclust_em.R folder N D K iterations: prints the seconds of one EM iteration of mclust's VVV model.
suppressPackageStartupMessages(library(mclust))

arguments <- commandArgs(trailingOnly = TRUE)
folder <- arguments[1]
sizes <- as.integer(arguments[2:5])
N <- sizes[1]; D <- sizes[2]; K <- sizes[3]; iterations <- sizes[4]
read <- function(name, n) readBin(file.path(folder, paste0(name, ".bin")), "double", n)

data <- matrix(read("data", N * D), N, D, byrow = TRUE)
covariances <- array(read("covariances", K * D * D), c(D, D, K))
variance <- list(
  modelName = "VVV", d = D, G = K, sigma = covariances,
  cholsigma = array(apply(covariances, 3, chol), c(D, D, K))
)
start <- list(pro = read("weights", K), mean = matrix(read("means", K * D), D, K), variance = variance)

run <- function(n) {
  control <- emControl(tol = c(0, 0), itmax = c(n, n))
  seconds <- system.time(fit <- em(data, modelName = "VVV", parameters = start, control = control))[["elapsed"]]
  c(seconds, abs(attr(fit, "info")[["iterations"]]))  # negative when not converged
}
invisible(suppressWarnings(run(1)))  # R compiles what it calls for the first time
long <- suppressWarnings(run(iterations + 1))
short <- suppressWarnings(run(1))
cat((long[1] - short[1]) / (long[2] - short[2]), "\n")
