"""Point estimates: maximum likelihood by EM."""
