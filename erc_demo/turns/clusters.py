"""Whose voice each window of a mix is, and how many people there are.

Vectors are brought into a space where windows of one voice scatter alike in all directions
(two-covariance model, Ioffe 2006). Ward's clusters start a variational Bayes HMM (VBx, Landini
et al. 2022, arxiv:2012.14952) for each number of people, and its evidence lower bound chooses
among them. Departures from VBx: windows of two lengths at once; the chance to stay shrinks over
a pause; people have equal chances that are not learned, so that a number that was told is kept;
the evidence counts as that of 100 s of speech at most, because in an hour any model's small
misfit outweighs every prior. The constants were chosen on dialogues of one to four people that
were stitched from training voices, half of them telephone-like, and looked at with real calls.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

HOP = 0.25  # seconds from the middle of a window to the next
SPACE = Path(__file__).resolve().parents[2] / "assets" / "voices" / "space.safetensors"
LEARNED = frozenset({"ge2e"})  # encoders that SPACE was estimated for
MOST = 2000  # windows that count people; the others are assigned
BLOCK = 40  # consecutive windows that are kept together among these
PEOPLE = 4  # most that are found without being told
ENOUGH = 400  # windows whose evidence counts; what more there is only repeats it
STAY = 0.95  # chance that the same person talks in the next window
WEIGHT = 0.1  # Fa of VBx: neighbouring windows share most of their sound
COST = 0.75  # Fb of VBx: weight of what a person's model costs
# what is known of the number before listening, in nats: two are likely, each more is less so
PRIOR = {1: 0.0, 2: 20.0, 3: 10.0, 4: 0.0}
SOFT = 0.1  # doubt about Ward's clusters
ROUNDS = 20  # of variational Bayes at most


@dataclass(frozen=True, slots=True)
class Assigned:
    """Who each window is, and how sure the number of people is (None where it was told)."""

    posterior: np.ndarray  # (windows, people)
    sure: float | None


def assign(middles: np.ndarray, vectors: np.ndarray, encoder: str, people: int | None) -> Assigned:
    """The person of each window of a mix; ``people`` is the number that was told, if any.

    ``middles`` are seconds, ``vectors`` are the encoder's, all window lengths side by side.
    """
    points, spread = placed(vectors.astype(np.float64), encoder)
    going_on = stay(middles)
    kept = sample(len(points))
    some = points[kept]
    some_on = np.where(np.diff(kept, prepend=-1) > 1, 0.5, going_on[kept])
    starts = Starts(some, vectors[kept].astype(np.float64), spread)

    def best(number: int) -> Clusters:
        tried = [cluster(some, spread, some_on, start) for start in starts.of(number)]
        return max(tried, key=lambda one: (people is not None and one.people, one.score(1)))

    sure = None
    if people is None:
        found = {number: best(number) for number in range(1, min(PEOPLE, len(kept)) + 1)}
        share = min(1.0, ENOUGH / len(kept))
        scores = {number: one.score(share) + PRIOR[number] for number, one in found.items()}
        number = max(scores, key=lambda n: scores[n])
        chosen = found[number]
        sure = float(1 / np.exp(np.array(list(scores.values())) - scores[number]).sum())
    else:
        number = min(people, len(kept))
        chosen = best(number)
        if chosen.people < number:  # VBx would merge two of them; what was told is kept
            chosen = Clusters(starts.of(number)[-1], 0.0, 0.0)
    posterior = chosen.posterior
    if len(kept) < len(points):
        centres = posterior.T @ some / np.maximum(posterior.sum(axis=0), 1e-9)[:, None]
        start = soft(nearest(points, centres), posterior.shape[1])
        posterior = cluster(points, spread, going_on, start).posterior
    return Assigned(posterior, sure)


def sample(count: int) -> np.ndarray:
    """Indices of at most ``MOST`` windows, in blocks spread over the recording."""
    if count <= MOST:
        return np.arange(count)
    firsts = np.linspace(0, count - BLOCK, MOST // BLOCK).astype(int)
    return np.unique(firsts[:, None] + np.arange(BLOCK))


def nearest(points: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """The index of the centre that lies nearest to each point."""
    square = np.square(centres).sum(axis=1) - 2 * points @ centres.T
    return square.argmin(axis=1)


def stay(middles: np.ndarray) -> np.ndarray:
    """The chance that the speaker of the window before goes on, smaller after a pause."""
    steps = np.diff(middles, prepend=middles[:1] - HOP) / HOP
    return np.where(steps > 1.2, STAY ** np.minimum(steps, 8), STAY)


def soft(labels: np.ndarray, people: int) -> np.ndarray:
    """Labels as probabilities (windows, people), with some doubt."""
    found = np.full((len(labels), people), SOFT / people)
    found[np.arange(len(labels)), labels] += 1 - SOFT
    return found


class Starts:
    """Ward's clusters of the windows, in the space of voices and as the encoder gave them."""

    def __init__(self, points: np.ndarray, vectors: np.ndarray, spread: np.ndarray) -> None:
        """Grow both trees."""
        from scipy.cluster.hierarchy import linkage

        self._count = len(points)
        views = (vectors, points * np.sqrt(spread / (1 + spread)))
        self._trees = [linkage(view, "ward") for view in views] if len(points) > 1 else []

    def of(self, people: int) -> list[np.ndarray]:
        """Starting probabilities (windows, people), one for each view."""
        from scipy.cluster.hierarchy import fcluster

        if people == 1 or not self._trees:
            return [np.ones((self._count, 1))]
        return [soft(fcluster(tree, people, "maxclust") - 1, people) for tree in self._trees]


@dataclass(frozen=True, slots=True)
class Clusters:
    """What variational Bayes ended with."""

    posterior: np.ndarray  # (windows, people)
    likelihood: float  # of all windows, in nats, times WEIGHT
    cost: float  # of the people's models, in nats, below 0

    def score(self, share: float) -> float:
        """The evidence lower bound, had there been only that share of the windows."""
        return self.likelihood * share + COST * self.cost

    @property
    def people(self) -> int:
        """How many people hold at least one window."""
        return len(np.unique(self.posterior.argmax(axis=1)))


def cluster(
    points: np.ndarray, spread: np.ndarray, stay: np.ndarray, start: np.ndarray
) -> Clusters:
    """VBx, equations 16–25 of Landini et al. 2022, with equal and fixed chances of people.

    ``points`` have unit covariance within a person and ``spread`` on the diagonal between.
    """
    posterior, last = start, -np.inf
    rho = points * np.sqrt(spread)
    alone = -0.5 * (np.square(points).sum(axis=1) + points.shape[1] * np.log(2 * np.pi))
    likelihood = cost = 0.0
    for _ in range(ROUNDS):
        precision = 1 + WEIGHT / COST * posterior.sum(axis=0)[:, None] * spread
        mean = WEIGHT / COST * (posterior.T @ rho) / precision
        score = rho @ mean.T - 0.5 * (1 / precision + np.square(mean)) @ spread + alone[:, None]
        posterior, likelihood = forward_backward(WEIGHT * score, stay)
        cost = 0.5 * float((1 - np.log(precision) - 1 / precision - np.square(mean)).sum())
        bound = likelihood + COST * cost
        if bound - last < 1:
            break
        last = bound
    return Clusters(posterior, likelihood, cost)


def forward_backward(score: np.ndarray, stay: np.ndarray) -> tuple[np.ndarray, float]:
    """Posteriors (windows, people) and log-likelihood of an HMM whose people stay or change."""
    count, people = score.shape
    top = score.max(axis=1, keepdims=True)
    if people == 1:
        return np.ones((count, 1)), float(top.sum())
    seen = np.exp(score - top)
    leave = (1 - stay) / people
    ahead, back, scale = np.empty_like(seen), np.empty_like(seen), np.empty(count)
    state = np.full(people, 1 / people)
    for t in range(count):
        state = seen[t] * (stay[t] * state + leave[t]) if t else seen[t] * state
        scale[t] = state.sum()
        state = state / scale[t]
        ahead[t] = state
    state = np.ones(people)
    for t in range(count - 1, -1, -1):
        back[t] = state
        state = seen[t] * state / scale[t]
        state = stay[t] * state + leave[t] * state.sum()
    posterior = ahead * back
    posterior /= posterior.sum(axis=1, keepdims=True)
    return posterior, float(np.log(scale).sum() + top.sum())


@lru_cache(maxsize=1)
def space() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean, basis and spread of GE2E's vectors, made by ``python -m trainer voices``."""
    from safetensors.numpy import load_file

    held = {name: value.astype(np.float64) for name, value in load_file(SPACE).items()}
    return held["mean"], held["basis"], held["spread"]


def placed(vectors: np.ndarray, encoder: str) -> tuple[np.ndarray, np.ndarray]:
    """Points of the windows where each voice scatters alike, and the variance between voices."""
    if encoder in LEARNED:
        mean, basis, spread = space()
        return (vectors - mean) @ basis, spread
    return own_space(vectors)


def own_space(vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The same for an encoder that has no space of its own: estimated from this recording.

    What changes within 1.75 s is mostly the sound of one voice. The covariance of the smaller
    half of these changes (the larger half holds the changes of speaker) is taken as the scatter
    within, what is left of the whole as the scatter between. This is far behind a space that was
    learned from many voices (GE2E with its own space hidden: told the number, errors double).
    """
    centred = vectors - vectors.mean(axis=0)
    apart = round(1.75 / HOP)
    if len(centred) < 4 * apart:
        return centred * np.sqrt(centred.shape[1]), np.ones(centred.shape[1])
    _, _, axes = np.linalg.svd(centred, full_matrices=False)
    points = centred @ axes[: max(1, min(32, len(centred) // 8))].T
    change = points[apart:] - points[:-apart]
    size = np.linalg.norm(change, axis=1)
    change = change[size <= np.median(size)]
    # half the covariance of a difference; the half that was left out makes up for the other half
    within = np.cov(change.T).reshape(points.shape[1], -1)
    within = 0.7 * within + 0.3 * np.eye(len(within)) * np.trace(within) / len(within)
    value, side = np.linalg.eigh(within)
    points = points @ side / np.sqrt(value)
    _, _, axes = np.linalg.svd(points, full_matrices=False)
    points = points @ axes.T
    return points, np.maximum(points.var(axis=0) - 1, 0.05)
