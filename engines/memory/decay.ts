/**
 * How long dirty pages stay. Pages that were freed are kept for reuse and go back to the system along a smooth curve over `decayMs`,
 * as jemalloc does it: time is cut into 200 epochs, each remembers how many pages became dirty in it, and the
 * number that may remain is the sum of those weighted by the smootherstep 6x⁵ - 15x⁴ + 10x³ of their youth.
 */

/** Epochs of a whole decay time (jemalloc's SMOOTHSTEP_NSTEPS). */
export const DECAY_STEPS = 200;

const WEIGHTS = new Float64Array(DECAY_STEPS);
for (let i = 0; i < DECAY_STEPS; i++) {
  const x = (i + 1) / DECAY_STEPS;
  WEIGHTS[i] = x * x * x * (x * (x * 6 - 15) + 10);
}

export class Decay {
  readonly decayMs: number;
  /** Pages that became dirty in each epoch, the newest last. */
  readonly #backlog = new Float64Array(DECAY_STEPS);
  #epochMs = Number.NaN;
  #known = 0;

  /** @param decayMs 0: pages go back at once; negative: never */
  constructor(decayMs: number) {
    this.decayMs = decayMs;
  }

  /**
   * @param nowMs time in ms of any clock that does not jump
   * @param dirty pages that are dirty now
   * @returns how many of them may stay
   */
  limit(nowMs: number, dirty: number): number {
    if (this.decayMs < 0) return dirty;
    if (this.decayMs === 0) return 0;
    const step = this.decayMs / DECAY_STEPS;
    if (Number.isNaN(this.#epochMs)) this.#epochMs = nowMs;
    // A clock that was set back starts a new count instead of stopping decay until it has caught up.
    if (nowMs < this.#epochMs) this.#epochMs = nowMs;
    const epochs = Math.floor((nowMs - this.#epochMs) / step);
    if (epochs === 0) return dirty;
    this.#epochMs += epochs * step;
    const backlog = this.#backlog;
    if (epochs >= DECAY_STEPS) {
      backlog.fill(0);
    } else {
      backlog.copyWithin(0, epochs);
      backlog.fill(0, DECAY_STEPS - epochs);
    }
    backlog[DECAY_STEPS - 1] = Math.max(0, dirty - this.#known);
    let sum = 0;
    for (let i = 0; i < DECAY_STEPS; i++) sum += backlog[i] * WEIGHTS[i];
    const limit = Math.min(dirty, Math.floor(sum));
    this.#known = limit;
    return limit;
  }
}
