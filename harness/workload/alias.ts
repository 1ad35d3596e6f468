/**
 * Draws an index with given weights in constant time: the alias method (Walker 1977), its tables built by Vose's algorithm (1991).
 */
export class AliasTable {
  readonly #probability: Float64Array;
  readonly #alias: Uint32Array;

  /** @param weights at least one, none negative, their sum above 0; they need not add up to 1 */
  constructor(weights: readonly number[]) {
    const n = weights.length;
    let sum = 0;
    for (const weight of weights) {
      if (!(weight >= 0 && weight < Number.POSITIVE_INFINITY)) {
        throw new RangeError(`Cannot draw by the weight ${weight}: it must be a number from 0`);
      }
      sum += weight;
    }
    if (!(sum > 0)) throw new RangeError('Cannot draw by weights: their sum must be above 0');
    this.#probability = new Float64Array(n);
    this.#alias = new Uint32Array(n);
    const scaled = weights.map((weight) => (weight * n) / sum);
    const small: number[] = [];
    const large: number[] = [];
    for (let i = 0; i < n; i++) (scaled[i] < 1 ? small : large).push(i);
    while (small.length > 0 && large.length > 0) {
      const low = small.pop()!;
      const high = large.pop()!;
      this.#probability[low] = scaled[low];
      this.#alias[low] = high;
      scaled[high] -= 1 - scaled[low];
      (scaled[high] < 1 ? small : large).push(high);
    }
    // What is left over differs from 1 by rounding only.
    for (const i of [...small, ...large]) {
      this.#probability[i] = 1;
      this.#alias[i] = i;
    }
  }

  get size(): number {
    return this.#probability.length;
  }

  /** @param uniform a uniform number in [0, 1) with 53 random bits: its upper part takes the column, the rest the side */
  pick(uniform: number): number {
    const scaled = uniform * this.#probability.length;
    const column = Math.floor(scaled);
    return scaled - column < this.#probability[column] ? column : this.#alias[column];
  }
}
