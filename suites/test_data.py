"""Are the held-out pictures held out?"""

from cnnbench import checks


def test_held_out(cnnbench_leaks, judge):
    judge(checks.check_held_out(cnnbench_leaks))
