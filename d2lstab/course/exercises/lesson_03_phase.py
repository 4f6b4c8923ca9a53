"""The exercise of lesson 03 on the edge of chaos."""

from d2lstab.course.exercise import Exercise, Mistake
from d2lstab.theory.activations import moments
from d2lstab.theory.mean_field import critical_weight_variance, slope

__all__ = ["PHASE"]

# Exercise 4: which side of the edge of chaos.


def _word(explodes: bool) -> str:
    return "explode" if explodes else "vanish"


PHASE = Exercise(
    id="03-phase",
    title="Do the gradients of a deep, wide network vanish or explode?",
    inputs=(
        (0.8, 0.0, "tanh"),
        (1.5, 0.0, "tanh"),
        (1.5, 0.05, "tanh"),
        (2.0, 0.05, "tanh"),
        (2.8, 0.6, "tanh"),
        (1.2, 0.3, "hardtanh"),
        (1.8, 0.0, "relu"),
        (50.0, 0.0, "sigmoid"),
        (1.3, 0.01, "scaled_sigmoid"),
    ),
    reference=lambda sw2, sb2, phi: _word(slope(sw2, sb2, phi) > 1),
    mistakes=(
        Mistake(
            lambda sw2, sb2, phi: _word(sw2 > 1),
            "Comparing the weights with 1 forgets the activation: what counts is "
            "chi = sw2 E[phi'^2].",
        ),
        Mistake(
            lambda sw2, sb2, phi: _word(sw2 * moments(phi).derivative_second > 1),
            "chi was taken at q = 1. The network settles at its own fixed point q*, "
            "and the slope there decides.",
        ),
        Mistake(
            lambda sw2, sb2, phi: _word(sw2 > critical_weight_variance(0.0, phi)),
            "The biases are forgotten: they push q* up, where a bounded activation is flatter.",
        ),
        Mistake(
            lambda sw2, sb2, phi: _word(slope(sw2, sb2, phi) < 1),
            "The two words are exchanged: above 1 a product of many factors explodes.",
        ),
    ),
    hints=(
        "First the fixed point q* of the mean square, then chi there, then compare with 1.",
        "chi = sw2 * moments(phi, variance=q).derivative_second at q = fixed_point(sw2, sb2, phi); "
        "where q* is 0, take a tiny variance.",
    ),
    solution="""
def phase(sw2, sb2, phi):
    from d2lstab.theory.activations import moments
    from d2lstab.theory.mean_field import fixed_point
    q = max(fixed_point(sw2, sb2, phi), 1e-12)  # q* = 0: the slope at zero
    chi = sw2 * moments(phi, variance=q).derivative_second
    return "explode" if chi > 1 else "vanish"
""",
)
