// armadillo_em folder N D K iterations: prints the seconds of one EM iteration of Armadillo's gmm_full.
#include <armadillo>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <sstream>
#include <string>
#include <vector>

static std::vector<double> read(const std::string& path, std::size_t n) {
    std::vector<double> values(n);
    std::ifstream file(path, std::ios::binary);
    file.read(reinterpret_cast<char*>(values.data()), n * sizeof(double));
    if (!file) {
        std::cerr << "cannot read " << path << "\n";
        std::exit(1);
    }
    return values;
}

struct Run {
    double seconds;
    int iterations;
};

static Run run(const arma::mat& X, const arma::mat& means, const arma::cube& covariances, const arma::rowvec& weights,
               arma::uword n) {
    arma::gmm_full model;
    model.set_params(means, covariances, weights);
    std::ostringstream log;  // one line an iteration: the only way to learn how many were done
    arma::set_cout_stream(log);
    const auto began = std::chrono::steady_clock::now();
    if (!model.learn(X, weights.n_elem, arma::eucl_dist, arma::keep_existing, 0, n, 1e-10, true)) std::exit(1);
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
    int done = 0;
    for (std::size_t at = 0; (at = log.str().find("EM: iteration", at)) != std::string::npos; ++at) ++done;
    return {took.count(), done};
}

int main(int, char** arguments) {
    const std::string folder = std::string(arguments[1]) + "/";
    const std::size_t N = std::stoul(arguments[2]), D = std::stoul(arguments[3]), K = std::stoul(arguments[4]);
    const arma::uword iterations = std::stoul(arguments[5]);
    // Armadillo's matrices are stored by column: a row of ours is a column of its.
    const arma::mat X(read(folder + "data.bin", N * D).data(), D, N);
    const arma::mat means(read(folder + "means.bin", K * D).data(), D, K);
    const arma::cube covariances(read(folder + "covariances.bin", K * D * D).data(), D, D, K);
    const arma::rowvec weights(read(folder + "weights.bin", K).data(), K);
    const Run longer = run(X, means, covariances, weights, iterations + 1), single = run(X, means, covariances, weights, 1);
    std::cout << (longer.seconds - single.seconds) / (longer.iterations - single.iterations) << "\n";
}
