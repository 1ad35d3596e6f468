/**
 * The memory file of -e, from which a server goes on where another one has stopped (warm restart). All slab pages lie in the file; a clean stop
 * for a restart (SIGUSR1, `shutdown graceful`) leaves a description beside it, FILE.meta, without which the file means nothing: a
 * server that is killed, or ended by SIGTERM, starts with a clean cache next time. As the original does it, and with its messages.
 */
import { closeSync, readFileSync, renameSync, unlinkSync, writeFileSync } from 'node:fs';
import { systemText } from '../base/system-text.ts';
import { mapFile, openForMapping } from '../io/mapped-file.ts';
import type { Core } from '../memcached/core.ts';
import { prepareRestart, restoreCore } from '../memcached/restart.ts';
import { type RestartState, readRestartMeta, writeRestartMeta } from '../memcached/restart-meta.ts';
import type { Settings } from '../memcached/settings.ts';
import type { Memory } from '../ports.ts';
import { EX_FAILURE, OptionError } from './option-error.ts';

const PAGE_BYTES = 4_096;
const META_MODE = 0o600;

export class MemoryFile {
  readonly #path: string;
  readonly #settings: Settings;
  readonly #log: (line: string) => void;
  readonly #state: RestartState | null;

  private constructor(path: string, settings: Settings, log: (line: string) => void, state: RestartState | null) {
    this.#path = path;
    this.#settings = settings;
    this.#log = log;
    this.#state = state;
  }

  /**
   * Puts the file under pages of the arena and reads what a server has left. To be called before the core is made; it changes `settings`.
   * @returns null when no memory file is asked for
   * @throws OptionError where it cannot be done
   */
  static open(settings: Settings, arena: Memory, log: (line: string) => void): MemoryFile | null {
    const path = settings.memoryFile;
    if (path === null) return null;
    const bytes = settings.maxBytes;
    let fd: number;
    try {
      fd = openForMapping(path, bytes);
    } catch (error) {
      const { syscall } = error as NodeJS.ErrnoException;
      const what = syscall === 'ftruncate' ? 'ftruncate failed' : 'failed to open file for mmap';
      throw new OptionError(`${what}: ${systemText(error)}`, EX_FAILURE);
    }
    const offset = arena.takePages(bytes / PAGE_BYTES);
    if (offset === 0)
      throw new OptionError(`failed to mmap, aborting: -m is more than this server can map`, EX_FAILURE);
    const errno = mapFile(fd, arena.address === 0 ? 0 : arena.address + offset, bytes);
    closeSync(fd);
    if (errno < 0) throw new OptionError('failed to mmap, aborting: -e needs the system calls of Linux', EX_FAILURE);
    if (errno > 0) throw new OptionError(`failed to mmap, aborting: error ${errno}`, EX_FAILURE);
    const state = readLeft(`${path}.meta`, settings, log);
    if (state !== null) settings.hashPowerInit = state.hashPower;
    settings.memoryRegion = { offset, bytes, isReused: state !== null };
    return new MemoryFile(path, settings, log, state);
  }

  /** Takes over the items that were left. Before other threads and connections. */
  restore(core: Core): void {
    const state = this.#state;
    if (state === null) return;
    const isVerbose = this.#settings.verbose > 0;
    if (isVerbose) {
      const base = this.#settings.memoryRegion!.offset;
      this.#log(`[restart] original memory base: [0x${state.oldBase.toString(16)}] new base: [0x${base.toString(16)}]`);
      this.#log(`[restart] recovery start [${seconds()}]`);
    }
    const damage = restoreCore(core, state);
    if (damage !== null) this.#log(`[restart] damaged item memory (${damage}), starting with a clean cache`);
    if (isVerbose) this.#log(`[restart] recovery end [${seconds()}]`);
  }

  /** Leaves a description for the next server. When all threads have ended and all connections are closed. */
  save(core: Core): void {
    const path = `${this.#path}.meta`;
    try {
      writeFileSync(`${path}.tmp`, writeRestartMeta(this.#settings, prepareRestart(core)), { mode: META_MODE });
      renameSync(`${path}.tmp`, path);
    } catch (error) {
      this.#log(`failed to write metadata file: ${(error as Error).message}\n[restart] failed to save metadata`);
    }
  }
}

/** Reads the description and takes it away: what it says is true only until this server has stored something. */
function readLeft(path: string, settings: Settings, log: (line: string) => void): RestartState | null {
  let text: string;
  try {
    text = readFileSync(path, 'latin1');
    unlinkSync(path);
  } catch {
    log('[restart] no metadata save file, starting with a clean cache');
    return null;
  }
  const state = readRestartMeta(text, settings, log, Math.floor(Date.now() / 1000));
  if (state === null) log('[restart] failed to validate metadata, starting with a clean cache');
  return state;
}

function seconds(): string {
  return (Date.now() / 1000).toFixed(6);
}
