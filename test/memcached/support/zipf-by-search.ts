/** Ranks by a Zipf law, by binary search in the cumulative weights: the order of the recorded measurements follows from it. */
export class Zipf {
  readonly #weights: Float64Array;
  #state: number;

  constructor(ranks: number, skew: number, seed: number) {
    this.#weights = new Float64Array(ranks + 1);
    for (let rank = 1; rank <= ranks; rank++) this.#weights[rank] = this.#weights[rank - 1]! + rank ** -skew;
    this.#state = seed;
  }

  /** Mulberry32. */
  #uniform(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let t = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  }

  /** From 1 on. */
  next(): number {
    let low = 1;
    let high = this.#weights.length - 1;
    const wanted = this.#uniform() * this.#weights[high]!;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#weights[middle]! > wanted) high = middle;
      else low = middle + 1;
    }
    return low;
  }
}
