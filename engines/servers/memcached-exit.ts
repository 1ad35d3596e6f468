/** What a Memcached-like server does when it has stopped serving: all threads have ended, all connections are closed. */
import type { Core } from '../memcached/core.ts';
import { firstHeld } from '../memcached/item-verify.ts';
import type { MemoryFile } from './memory-file.ts';
import { EX_FAILURE } from './option-error.ts';

export interface AtExit {
  /** A stop for a restart: SIGUSR1 or `shutdown graceful`. */
  isGraceful: boolean;
  memoryFile: MemoryFile | null;
  /** --verify-on-exit. */
  verify: boolean;
  log: (line: string) => void;
}

/** @returns the exit code */
export function finishMemcached(core: Core, { isGraceful, memoryFile, verify, log }: AtExit): number {
  // What the maintainer was still to be told holds references.
  core.maintainer.settle();
  if (verify) {
    const problem = contradiction(core);
    if (problem !== null) {
      log(`verify: ${problem}`);
      return EX_FAILURE;
    }
    log(`verify: all is right with ${core.items.currItems} items in ${core.items.slabs.mallocedBytes} bytes`);
  }
  if (isGraceful) memoryFile?.save(core);
  return 0;
}

/** The deep check, and that nobody holds anything any more. */
function contradiction(core: Core): string | null {
  try {
    const { floatingChunks } = core.verify();
    if (floatingChunks > 0) return `${floatingChunks} chunks are in use, but belong to no item that can be found`;
    return firstHeld(core.items);
  } catch (error) {
    return (error as Error).message;
  }
}
