/**
 * How the harness's thread and the driver threads tell each other where the load stands: a few words of shared memory, because a
 * driver thread sits in its event loop and reads no messages.
 */

export const WAITING = 0;
export const GO = 1;
export const ABORT = 2;

const STATE = 0;
const BYTES = 16;

export class LoadControl {
  readonly buffer: SharedArrayBuffer;
  private readonly words: Int32Array;
  private readonly startUsWord: Float64Array;

  /** @param buffer of the control of another thread; left out: a new one */
  constructor(buffer = new SharedArrayBuffer(BYTES)) {
    this.buffer = buffer;
    this.words = new Int32Array(buffer, 0, 2);
    this.startUsWord = new Float64Array(buffer, 8, 1);
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
}
