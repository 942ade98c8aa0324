# jags_mixture.R folder N K location scale log_median log_sd burn draws cores: four chains of a mixture in one feature.
# Writes the draws to folder/{weights,means,stds}.bin, chain by chain and draw by draw; prints the seconds.
suppressPackageStartupMessages(library(rjags))

arguments <- commandArgs(trailingOnly = TRUE)
folder <- arguments[1]
numbers <- as.numeric(arguments[-1])
N <- numbers[1]; K <- numbers[2]; burn <- numbers[7]; draws <- numbers[8]; cores <- numbers[9]
x <- readBin(file.path(folder, "data.bin"), "double", N)

model <- "model {
  for (i in 1:N) {
    z[i] ~ dcat(w)
    x[i] ~ dnorm(mu[z[i]], tau[z[i]])
  }
  w ~ ddirch(ones)
  for (k in 1:K) {
    mu[k] ~ dnorm(location, 1 / scale^2)
    sd[k] ~ dlnorm(log_median, 1 / log_sd^2)
    tau[k] <- 1 / sd[k]^2
  }
}"
values <- list(
  x = x, N = N, K = K, ones = rep(1, K), location = numbers[3], scale = numbers[4],
  log_median = numbers[5], log_sd = numbers[6]
)

chain <- function(seed) {
  start <- list(.RNG.name = "base::Mersenne-Twister", .RNG.seed = seed, mu = quantile(x, (1:K - 0.5) / K, names = FALSE))
  compiled <- jags.model(textConnection(model), values, start, n.chains = 1, n.adapt = 0, quiet = TRUE)
  began <- proc.time()[["elapsed"]]
  adapt(compiled, burn, progress.bar = "none")
  drawn <- coda.samples(compiled, c("w", "mu", "sd"), draws, progress.bar = "none")[[1]]
  list(began = began, ended = proc.time()[["elapsed"]], draws = drawn)
}

chains <- parallel::mclapply(1:4, chain, mc.cores = cores)
for (name in c("weights", "means", "stds")) {
  variable <- c(weights = "w", means = "mu", stds = "sd")[[name]]
  columns <- paste0(variable, "[", 1:K, "]")
  drawn <- unlist(lapply(chains, function(one) t(one$draws[, columns])))
  writeBin(as.double(drawn), file.path(folder, paste0(name, ".bin")))
}
began <- min(sapply(chains, function(one) one$began))
cat(max(sapply(chains, function(one) one$ended)) - began, "\n")
