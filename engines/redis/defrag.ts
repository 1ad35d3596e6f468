/**
 * Active defragmentation: when much of the allocator's active memory is free regions within slabs, all values are walked and what lies in
 * sparse slabs is moved, so that those slabs drain and their pages go back. It runs with the cron for a share of the time that grows
 * with the fragmentation. What may be moved and how its pointers are mended is in defrag-values.ts.
 *
 * Policy and figures follow the original: fragmentation is active over allocated memory; a scan goes through the main dict and then
 * the expiry times of each database; the aggressiveness never falls within a scan.
 */
import type { Db } from './db.ts';
import { defragValue, moveChain, stepLargeValue } from './defrag-values.ts';
import { LOG_VERBOSE } from './log-levels.ts';
import type { RedisCore } from './redis-core.ts';
import { dictFind } from './structures/dict.ts';
import { dictKey, dictNext, dictSize, dictValue } from './structures/dict-layout.ts';
import { dictScanBuckets } from './structures/dict-sample.ts';
import { sdsBase, sdsLen } from './structures/sds.ts';

/** How often it is looked whether there is fragmentation enough. */
const LOOK_MS = 1_000;
/** The clock is read after so many buckets, moves or keys. */
const ITERATIONS_PER_CLOCK = 16;
const MOVES_PER_CLOCK = 512;
const KEYS_PER_CLOCK = 64;
/** Keys with large values that wait to be gone through in steps; beyond, they are gone through at once. */
const LATER_MAX = 100_000;

/** The allocator's figures in bytes that decide about defragmentation. */
export interface FragmentationFigures {
  readonly allocated: number;
  readonly active: number;
}

export class Defrag {
  /** Where the allocator's figures come from; null: no defragmentation. Composition code sets it. */
  figures: (() => FragmentationFigures) | null = null;
  /** Percent of the time in use, 0: not running. */
  running = 0;
  hits = 0;
  misses = 0;
  keyHits = 0;
  keyMisses = 0;
  scanned = 0;
  /** Time in µs since the present run began (0: none), and of those that have ended. */
  startedUs = 0;
  totalUs = 0;
  /** A setting has changed: look again at once. */
  configurationChanged = false;
  private lookedAtMs = Number.NEGATIVE_INFINITY;
  private dbIndex = -1;
  private cursor = 0;
  private expiresCursor = 0;
  /** Between two databases there is nothing to go on with. */
  private between = true;
  private scanStartedUs = 0;
  private scanStartHits = 0;
  /** Keys of large values of the present database, one char a byte, and where the first goes on. */
  private readonly later: string[] = [];
  private laterCursor = 0;

  resetStats(): void {
    this.hits = 0;
    this.misses = 0;
    this.keyHits = 0;
    this.keyMisses = 0;
    this.totalUs = 0;
  }

  /** Moves an allocation if that helps. @returns the new offset, or 0 */
  move(core: RedisCore, offset: number): number {
    const fresh = core.allocator.moveIfSparse!(offset);
    if (fresh === 0) this.misses++;
    else this.hits++;
    return fresh;
  }

  /** The share of the cron's time. To be called with each cron. */
  cron(core: RedisCore): void {
    if (!core.config.activedefrag || this.figures === null || core.allocator.canDefrag !== true) {
      if (this.running !== 0) this.stop(core);
      return;
    }
    if (this.configurationChanged || core.nowMs - this.lookedAtMs >= LOOK_MS || core.nowMs < this.lookedAtMs) {
      this.lookedAtMs = core.nowMs;
      this.decide(core);
      this.configurationChanged = false;
    }
    if (this.running !== 0) this.run(core);
    const nowUs = core.clock.monoUs();
    if (this.running !== 0) {
      if (this.startedUs === 0) this.startedUs = nowUs;
    } else if (this.startedUs !== 0) {
      this.totalUs += nowUs - this.startedUs;
      this.startedUs = 0;
    }
  }

  /** Starts a run, or makes the present one more aggressive. */
  private decide(core: RedisCore): void {
    const { allocated, active } = this.figures!();
    const percent = allocated === 0 ? 0 : (active / allocated) * 100 - 100;
    const bytes = active - allocated;
    const config = core.config;
    const lower = config.activeDefragThresholdLower;
    const upper = config.activeDefragThresholdUpper;
    if (this.running === 0 && (percent < lower || bytes < config.activeDefragIgnoreBytes)) return;
    const least = config.activeDefragCycleMin;
    const most = config.activeDefragCycleMax;
    const share = Math.trunc(least + ((percent - lower) * (most - least)) / (upper - lower));
    const cpu = share < least ? least : share > most ? most : share;
    if (cpu <= this.running && !this.configurationChanged) return;
    this.running = cpu;
    core.log(
      LOG_VERBOSE,
      `Starting active defrag, frag=${percent.toFixed(0)}%, frag_bytes=${bytes}, cpu=${this.running}%`,
    );
  }

  private stop(core: RedisCore): void {
    this.running = 0;
    this.dbIndex = -1;
    this.between = true;
    this.later.length = 0;
    this.laterCursor = 0;
    if (this.startedUs !== 0) this.totalUs += core.clock.monoUs() - this.startedUs;
    this.startedUs = 0;
  }

  private run(core: RedisCore): void {
    const begun = core.latency.begin();
    this.runCycle(core);
    core.latency.end('active-defrag-cycle', begun);
  }

  private runCycle(core: RedisCore): void {
    const startUs = core.clock.monoUs();
    const endUs = startUs + Math.max(1, (1_000_000 * this.running) / core.hz / 100);
    for (;;) {
      if (this.between) {
        if (this.stepLater(core, endUs)) return;
        if (!this.nextDb(core, endUs)) return;
        continue;
      }
      const db = core.dbs[this.dbIndex];
      if (this.scanUntil(core, db, endUs)) return;
      this.between = true;
      // The next database is for the next call, as in the original.
      return;
    }
  }

  /** @returns false when the scan is over, and not another one is to begin at once */
  private nextDb(core: RedisCore, endUs: number): boolean {
    this.dbIndex++;
    if (this.dbIndex >= core.dbs.length) {
      const nowUs = core.clock.monoUs();
      const { allocated, active } = this.figures!();
      core.log(
        LOG_VERBOSE,
        `Active defrag done in ${Math.floor((nowUs - this.scanStartedUs) / 1000)}ms, reallocated=${this.hits - this.scanStartHits}, ` +
          `frag=${((active / allocated) * 100 - 100).toFixed(0)}%, frag_bytes=${active - allocated}`,
      );
      this.dbIndex = -1;
      this.running = 0;
      this.decide(core);
      return this.running !== 0 && nowUs < endUs;
    }
    if (this.dbIndex === 0) {
      this.scanStartedUs = core.clock.monoUs();
      this.scanStartHits = this.hits;
    }
    this.cursor = 0;
    this.expiresCursor = 0;
    this.between = false;
    return true;
  }

  /** Goes on with the present database. @returns whether the time is over */
  private scanUntil(core: RedisCore, db: Db, endUs: number): boolean {
    let iterations = 0;
    let hits = this.hits;
    let scanned = this.scanned;
    const visitKeys = (slot: number) => this.visitKeys(core, db, slot);
    const visitExpires = (slot: number) => moveChain(core, slot);
    do {
      if (this.stepLater(core, endUs)) return true;
      if (this.expiresCursor === 0) this.cursor = dictScanBuckets(core.heap, db.dict, this.cursor, visitKeys);
      if (this.cursor === 0) {
        this.expiresCursor = dictScanBuckets(core.heap, db.expires, this.expiresCursor, visitExpires);
      }
      const due =
        ++iterations > ITERATIONS_PER_CLOCK ||
        this.hits - hits > MOVES_PER_CLOCK ||
        this.scanned - scanned > KEYS_PER_CLOCK;
      if (due) {
        if (core.clock.monoUs() > endUs) {
          this.between = this.cursor === 0 && this.expiresCursor === 0;
          return true;
        }
        iterations = 0;
        hits = this.hits;
        scanned = this.scanned;
      }
    } while (this.cursor !== 0 || this.expiresCursor !== 0);
    return false;
  }

  private visitKeys(core: RedisCore, db: Db, slot: number): void {
    moveChain(core, slot);
    const h = core.heap;
    for (let entry = h.u32[slot >>> 2]; entry !== 0; entry = dictNext(h, entry)) {
      const before = this.hits;
      this.moveKey(core, db, entry);
      const later = defragValue(core, entry);
      if (later) this.addLater(core, entry);
      if (this.hits > before) this.keyHits++;
      else this.keyMisses++;
      this.scanned++;
    }
  }

  /** Moves a key's bytes, which the entry of its expiry time shares. */
  private moveKey(core: RedisCore, db: Db, entry: number): void {
    const h = core.heap;
    const key = dictKey(h, entry);
    // The other entry is found by the key's bytes as long as they lie where it looks for them.
    const expires = dictSize(h, db.expires) === 0 ? 0 : dictFind(h, db.expires, key, sdsLen(h, key));
    const base = sdsBase(h, key);
    const fresh = this.move(core, base);
    if (fresh === 0) return;
    const moved = fresh + (key - base);
    h.u32[entry >>> 2] = moved;
    if (expires !== 0) h.u32[expires >>> 2] = moved;
  }

  private addLater(core: RedisCore, entry: number): void {
    const h = core.heap;
    const key = dictKey(h, entry);
    if (this.later.length < LATER_MAX) {
      this.later.push(h.latin1(key, sdsLen(h, key)));
      return;
    }
    for (let cursor = 0; ; ) {
      cursor = stepLargeValue(core, dictValue(h, entry), cursor);
      if (cursor === 0) return;
    }
  }

  /** Goes on with large values. @returns whether the time is over */
  private stepLater(core: RedisCore, endUs: number): boolean {
    if (this.later.length === 0) return false;
    const h = core.heap;
    const db = core.dbs[Math.max(0, this.dbIndex)];
    let hits = this.hits;
    for (let steps = 0; this.later.length > 0; steps++) {
      const text = this.later[this.later.length - 1];
      const room = h.allocator.alloc(Math.max(1, text.length));
      if (room === 0) return true;
      h.putLatin1(text, room);
      const entry = dictFind(h, db.dict, room, text.length);
      h.free(room);
      // The key may be gone meanwhile, or be another one of the same name: stepLargeValue looks what it is.
      this.laterCursor = entry === 0 ? 0 : stepLargeValue(core, dictValue(h, entry), this.laterCursor);
      if (this.laterCursor === 0) this.later.pop();
      if (steps >= ITERATIONS_PER_CLOCK || this.hits - hits > MOVES_PER_CLOCK) {
        if (core.clock.monoUs() > endUs) return true;
        steps = 0;
        hits = this.hits;
      }
    }
    return false;
  }
}
