/** How far a load has come, and when it lets others be served. */
import { adminOf } from '../admin.ts';
import type { RedisCore } from '../redis-core.ts';

/**
 * A load in steps: it pauses wherever others may be served (they are told that it is under way) and ends with its result.
 * Whoever runs it may also leave it (`return`); it then closes its files.
 */
export type LoadSteps<T> = Generator<undefined, T, undefined>;

/** Runs a load to its end. @param pause serves others, where that can be done */
export function runSteps<T>(steps: LoadSteps<T>, pause: (() => void) | null = null): T {
  for (;;) {
    const { done, value } = steps.next();
    if (done === true) return value;
    pause?.();
  }
}

export class LoadProgress {
  /** Seconds since the epoch. */
  startedUnixtime = 0;
  /** Bytes of all files to be loaded, and how many of them have been. */
  totalBytes = 0;
  loadedBytes = 0;
  /** used_memory of the server that wrote the RDB file; 0: it does not say. */
  rdbUsedMemory = 0;
  /** Bytes of the files before the present one. */
  private before = 0;

  begin(unixtime: number, totalBytes: number): void {
    this.startedUnixtime = unixtime;
    this.totalBytes = totalBytes;
    this.loadedBytes = 0;
    this.rdbUsedMemory = 0;
    this.before = 0;
  }

  /** @param position in the file that is being loaded */
  at(position: number): void {
    this.loadedBytes = this.before + position;
  }

  /** A file has been loaded. */
  fileEnded(bytes: number): void {
    this.before += bytes;
    this.loadedBytes = this.before;
  }

  /** Seconds that it will still take, if it goes on as so far. */
  secondsLeft(unixtime: number): number {
    const elapsed = unixtime - this.startedUnixtime;
    if (elapsed === 0) return 1;
    return Math.floor((elapsed * (this.totalBytes - this.loadedBytes)) / (this.loadedBytes + 1));
  }
}

/** key-load-delay, for tests of slow loads: so many µs after each key; a negative value is one µs after every so many. */
export function delayAfterKey(core: RedisCore): void {
  const { keyLoadDelay } = core.config;
  if (keyLoadDelay > 0) adminOf(core).host.sleepUs(keyLoadDelay);
  else if (keyLoadDelay < 0 && core.random.nextBelow(-keyLoadDelay) === 0) adminOf(core).host.sleepUs(1);
}
