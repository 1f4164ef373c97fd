#!/usr/bin/env python3
"""llama.cpp's own HTTP server, out of the PyPI package xllamacpp. Runs until SIGTERM."""
import argparse
import signal

import xllamacpp

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--model", required=True)
parser.add_argument("--port", type=int, required=True)
parser.add_argument("--threads", type=int, required=True)
parser.add_argument("--parallel", type=int, default=1, help="calls that it answers together")
parser.add_argument("--context", type=int, default=2048, help="tokens of one call")
parser.add_argument("--lookup", type=int, default=0,
                    help="draft what followed when so many tokens stood there before; 0 drafts nothing")
parser.add_argument("--drafted", type=int, default=48, help="tokens of a draft")
options = parser.parse_args()

parameters = xllamacpp.CommonParams()
parameters.model.path = options.model
parameters.hostnames, parameters.port = ["127.0.0.1"], options.port
# The context is shared out among the calls.
parameters.n_parallel, parameters.n_ctx = options.parallel, options.context * options.parallel
parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = options.threads
if options.lookup:
    parameters.speculative.types = [
        xllamacpp.common_speculative_type.COMMON_SPECULATIVE_TYPE_NGRAM_SIMPLE]
    parameters.speculative.ngram_simple.size_n = options.lookup
    parameters.speculative.ngram_simple.size_m = options.drafted
parameters.ui, parameters.fit_params = False, False
server = xllamacpp.Server(parameters)
print(server.listening_address, flush=True)
signal.sigwait([signal.SIGTERM, signal.SIGINT])
