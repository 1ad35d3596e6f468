/**
 * When operations are due. In the closed loop nothing is ever due: a connection sends when it was answered. In the open loop
 * the times are fixed beforehand, whatever the server does; that is what makes a stalled server visible.
 *
 * A rate is split over threads without rounding: in the constant process thread t of T takes every T-th time of the one sequence; in the Poisson
 * process each thread has its own sequence of rate/T, and their union is a Poisson process of the whole rate.
 */
import { createRandom } from '../../engines/base/random.ts';
import type { Random } from '../../engines/ports.ts';
import type { ArrivalSpec } from '../../scenarios/spec.ts';

export interface Arrival {
  /** False: closed loop; `nextDueUs` then gives Infinity. */
  readonly open: boolean;
  /** Operations per second of this thread; 0 in the closed loop. */
  readonly rate: number;
  /** @returns the next due time in microseconds since the load's start; never less than the one before */
  nextDueUs(): number;
}

class Closed implements Arrival {
  readonly open = false;
  readonly rate = 0;
  nextDueUs(): number {
    return Number.POSITIVE_INFINITY;
  }
}

class Constant implements Arrival {
  readonly open = true;
  readonly rate: number;
  readonly #totalRate: number;
  readonly #step: number;
  #place: number;
  constructor(rate: number, thread: number, threads: number) {
    this.rate = rate / threads;
    this.#totalRate = rate;
    this.#step = threads;
    this.#place = thread;
  }
  nextDueUs(): number {
    // Multiplied, not added up: a day of operations has no drift. In the middle of its slot: at the slots' borders the driver closes its
    // intervals, and whatever were due just then would always be late.
    const due = ((this.#place + 0.5) * 1e6) / this.#totalRate;
    this.#place += this.#step;
    return due;
  }
}

class Poisson implements Arrival {
  readonly open = true;
  readonly rate: number;
  readonly #gapUs: number;
  readonly #random: Random;
  #due = 0;
  constructor(rate: number, threads: number, random: Random) {
    this.rate = rate / threads;
    this.#gapUs = (1e6 * threads) / rate;
    this.#random = random;
  }
  nextDueUs(): number {
    this.#due -= this.#gapUs * Math.log1p(-this.#random.nextFloat());
    return this.#due;
  }
}

/**
 * @param seed the run's seed
 * @param share which of the driver's threads this is (`thread` from 0)
 */
export function createArrival(
  spec: ArrivalSpec,
  seed: string,
  share: { thread: number; threads: number } = { thread: 0, threads: 1 },
): Arrival {
  const { thread, threads } = share;
  if (!(Number.isInteger(threads) && threads >= 1 && Number.isInteger(thread) && thread >= 0 && thread < threads)) {
    throw new RangeError(`Cannot give thread ${thread} of ${threads} its share of the load: threads count from 0`);
  }
  if (spec.kind === 'closed') return new Closed();
  if (!(spec.rate > 0 && spec.rate < Number.POSITIVE_INFINITY)) {
    throw new RangeError(`Cannot send ${spec.rate} operations per second: the rate must be above 0`);
  }
  if (spec.process === 'constant') return new Constant(spec.rate, thread, threads);
  return new Poisson(spec.rate, threads, createRandom(`${seed}/arrival ${thread} of ${threads}`));
}
