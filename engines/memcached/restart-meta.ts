/**
 * The text beside a memory file (-e) that says what a stopped server has left in it: one line each for the settings that must be the same, for
 * the clocks and for the counters that go on. Form, names and messages are those of memcached 1.6.18 (restart.c, memcached.c), so that
 * the original's files can be read as well.
 */
import { HASH_POWER_ARENA_MAX } from './assoc.ts';
import { itemLockPower } from './locks.ts';
import type { Settings } from './settings.ts';

const TAG = 'Tmain';

/** What goes on after a restart. Times in seconds. */
export interface RestartState {
  /** The clock of items at the stop. */
  currentTime: number;
  /** Unix time at which that clock was 0. */
  processStarted: number;
  /** Unix time of the stop. */
  stopTime: number;
  currentCas: number;
  oldestCas: number;
  loggerGid: number;
  hashPower: number;
  oldestLive: number;
  /** What the first byte of the file counted as in the pointers of its items: an arena offset, or an address in the original. */
  oldBase: number;
}

/** In the original's order. Settings that must agree with those of today come first. */
function settingLines(s: Settings): [string, string][] {
  return [
    ['slab_config', s.slabSizes === null ? s.factor.toFixed(2) : s.slabSizes.join('-')],
    ['maxbytes', String(s.maxBytes)],
    ['chunk_size', String(s.chunkSize)],
    ['item_size_max', String(s.itemSizeMax)],
    ['slab_chunk_size_max', String(s.slabChunkSizeMax)],
    ['slab_page_size', String(s.slabPageSize)],
    ['use_cas', String(s.useCas)],
    ['slab_reassign', String(s.slabReassign)],
  ];
}

const NUMBERS = [
  ['current_time', 'currentTime'],
  ['process_started', 'processStarted'],
  ['stop_time', 'stopTime'],
  ['current_cas', 'currentCas'],
  ['oldest_cas', 'oldestCas'],
  ['logger_gid', 'loggerGid'],
  ['hashpower', 'hashPower'],
  ['oldest_live', 'oldestLive'],
] as const;

/** @returns the text for a server with such settings */
export function writeRestartMeta(settings: Settings, state: RestartState): string {
  const lines = settingLines(settings);
  for (const [key, name] of NUMBERS) lines.push([key, String(state[name])]);
  lines.push(['mmap_oldbase', `0x${state.oldBase.toString(16)}`]);
  return `${TAG}\n${lines.map(([key, value]) => `K${key} ${value}\n`).join('')}`;
}

/**
 * @param log takes the original's messages about what is wrong
 * @param wallSeconds Unix time; a server that has stopped later than now cannot be gone on with
 * @returns null where the memory file must not be used
 */
export function readRestartMeta(
  text: string,
  settings: Settings,
  log: (line: string) => void,
  wallSeconds: number,
): RestartState | null {
  const reader = new MetaReader(settings, log, wallSeconds);
  return reader.read(text.split('\n'));
}

class MetaReader {
  readonly #settings: Settings;
  readonly #expected: Map<string, string>;
  readonly #log: (line: string) => void;
  readonly #wallSeconds: number;
  readonly #state: Partial<RestartState> = {};
  readonly #seen = new Set<string>();

  constructor(settings: Settings, log: (line: string) => void, wallSeconds: number) {
    this.#settings = settings;
    this.#wallSeconds = wallSeconds;
    this.#expected = new Map(settingLines(settings));
    this.#log = log;
  }

  read(lines: readonly string[]): RestartState | null {
    if (lines[0] !== TAG) {
      this.#complainAboutStart(lines[0] ?? '');
      return null;
    }
    for (const line of lines.slice(1)) {
      if (line === '') break;
      if (this.#take(line)) continue;
      if (!this.#isComplete()) this.#log('[restart] missing some metadata lines');
      return null;
    }
    if (this.#isComplete()) return this.#state as RestartState;
    this.#log('[restart] missing some metadata lines');
    return null;
  }

  #complainAboutStart(line: string): void {
    if (line === '') this.#log('[restart] Failed to read a tag from metadata file');
    else if (line.startsWith('T')) {
      this.#log(`[restart] internal handler for metadata tag not found: ${line.slice(1)}:`);
    } else {
      if (!line.startsWith('K')) this.#log(`[restart] invalid metadata line:\n\n${line}`);
      this.#log('[restart] corrupt metadata file');
    }
  }

  /** @returns false when reading must stop */
  #take(line: string): boolean {
    if (line.startsWith('T')) {
      if (line === TAG) return true;
      this.#log(`[restart] internal handler for metadata tag not found: ${line.slice(1)}:`);
      return false;
    }
    if (!line.startsWith('K')) {
      this.#log(`[restart] invalid metadata line:\n\n${line}`);
      return false;
    }
    const space = line.indexOf(' ');
    const key = space < 0 ? line.slice(1) : line.slice(1, space);
    const value = space < 0 ? '' : line.slice(space + 1);
    this.#seen.add(key);
    if (this.#apply(key, value)) return true;
    this.#log(`[restart] restart incompatible due to setting for [${key}] [old value: ${value}]`);
    return false;
  }

  #apply(key: string, value: string): boolean {
    const expected = this.#expected.get(key);
    if (expected !== undefined) return value === expected;
    if (key === 'mmap_oldbase') {
      if (/^(0x)?[0-9a-f]{1,13}$/i.test(value)) {
        this.#state.oldBase = Number.parseInt(value, 16);
        return true;
      }
      this.#log(`[restart] failed to parse mmap_oldbase: ${value}`);
      return false;
    }
    const number = NUMBERS.find(([name]) => name === key);
    if (number === undefined) {
      this.#log(`[restart] unknown/unhandled key: ${key}`);
      return true;
    }
    if (!/^\d{1,15}$/.test(value)) return false;
    if (key === 'stop_time' && Number(value) > this.#wallSeconds) return false;
    if (key === 'hashpower' && !this.#isHashPower(Number(value))) return false;
    this.#state[number[1]] = Number(value);
    return true;
  }

  /** The original ends here when the power and the number of threads do not go together; a cold start serves better. */
  #isHashPower(power: number): boolean {
    return power > itemLockPower(this.#settings.threads) && power <= HASH_POWER_ARENA_MAX;
  }

  #isComplete(): boolean {
    const names = [...this.#expected.keys(), ...NUMBERS.map(([key]) => key), 'mmap_oldbase'];
    return names.every((name) => this.#seen.has(name));
  }
}
