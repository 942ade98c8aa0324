"""The posterior of many rows: seconds, convergence and memory as the number of rows grows."""

from benchmarks.timing import child


def scale_table(sizes=(10_000, 100_000, 1_000_000), n_features=5, n_components=4, draws=500):
    print(f"\nA posterior of N x {n_features}, K = {n_components}, 4 x {draws} draws, each N in a process of its own.")
    print("Whole call of sample_posterior from EM's fit; memory: growth of the resident size over what the data need")
    print("R-hat is the largest, ESS the smallest, bulk and tail, of the label-free quantities; bulk of the parameters")
    heads = (
        f"{'EM':>8} {'posterior':>10} {'sampling':>9} {'us a row':>9} {'label-free R-hat, ESS':>22} {'parameters':>13}"
    )
    print(f"{'N':>10} {heads} {'growth':>9} {'data and growth':>16}")
    for N in sizes:
        run = child("scale", N, n_features, n_components, draws)
        sampling = f"{run['sampling']:.1f} s" if run["sampling"] else ""
        print(
            f"{N:>10,} {run['em']:>6.2f} s {run['whole']:>8.1f} s {sampling:>9} {1e6 * run['whole'] / N:>9.1f} "
            f"{run['r_hat']:>14.4f}, {run['ess']:>6.0f} {run['r_hat_parameters']:>7.4f}, {run['ess_parameters']:>4.0f} "
            f"{run['growth'] / 1e6:>6.0f} MB "
            f"{1 + run['growth'] / run['data']:>10.2f} x data",
            flush=True,
        )
