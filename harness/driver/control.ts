/**
 * How the harness's thread and the driver threads tell each other where the load stands: a few words of shared memory, because a
 * driver thread sits in its event loop and reads no messages.
 */

export const WAITING = 0;
export const GO = 1;
export const ABORT = 2;

const STATE = 0;
/** Fan-out: number of the first measured message, the one after the last, and whether the publisher is done. */
const FIRST = 1;
const AFTER_LAST = 2;
const PUBLISHED = 3;
const BYTES = 24;

export class LoadControl {
  readonly buffer: SharedArrayBuffer;
  private readonly words: Int32Array;
  private readonly startUsWord: Float64Array;

  /** @param buffer of the control of another thread; left out: a new one */
  constructor(buffer = new SharedArrayBuffer(BYTES)) {
    this.buffer = buffer;
    this.words = new Int32Array(buffer, 0, 4);
    this.startUsWord = new Float64Array(buffer, 16, 1);
  }

  /** WAITING, GO or ABORT. */
  get state(): number {
    return Atomics.load(this.words, STATE);
  }

  /** When the load (its warm-up) begins, µs of `nowUs`; valid once the state is GO. */
  get startUs(): number {
    return this.startUsWord[0]!;
  }

  /** Lets the load begin, unless it was aborted before. */
  go(startUs: number): void {
    this.startUsWord[0] = startUs;
    Atomics.compareExchange(this.words, STATE, WAITING, GO);
  }

  abort(): void {
    Atomics.store(this.words, STATE, ABORT);
  }

  /** The publisher of a fan-out has sent its last message: those numbered from `first` to `afterLast - 1` were measured. */
  published(first: number, afterLast: number): void {
    this.words[FIRST] = first;
    this.words[AFTER_LAST] = afterLast;
    Atomics.store(this.words, PUBLISHED, 1);
  }

  /** Whether `published` was called; only then the two numbers are valid. */
  get isPublished(): boolean {
    return Atomics.load(this.words, PUBLISHED) === 1;
  }

  get firstMessage(): number {
    return this.words[FIRST]!;
  }

  get afterLastMessage(): number {
    return this.words[AFTER_LAST]!;
  }
}
