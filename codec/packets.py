"""What the writer and the reader of packets share (T.800 Annex B)."""

LOG2_MAX_PRECINCT = 15  # the largest precincts, which are the default (A.6.1, Table A.21)
MAX_SUBBANDS = 3  # of one packet: HL, LH and HH of its resolution level, or LL alone
INITIAL_LBLOCK = 3  # B.10.7.1
