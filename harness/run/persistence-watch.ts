/**
 * What a server does with its files while it is measured: begins a snapshot or a rewrite when one is due, and asks many times a second
 * what is under way. The questions cost the server some 50 µs each, the same for every mode.
 */
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { PersistenceMode, PersistenceSpec } from '../../scenarios/spec.ts';
import type { PersistenceEvent, PersistenceResult, TimelineRow } from '../result.ts';
import type { PersistentServer } from '../target/target.ts';

const POLL_MS = 50;
const EVENTS_MAX = 1_000;

/** Which command begins what the mode needs from time to time. `turn` counts up. */
export function snapshotCommand(mode: PersistenceMode, turn: number): 'BGSAVE' | 'BGREWRITEAOF' | null {
  if (mode === 'none') return null;
  if (mode === 'rdb') return 'BGSAVE';
  if (mode === 'aof-rdb' && turn % 2 === 0) return 'BGSAVE';
  return 'BGREWRITEAOF';
}

/** A server has so long to put the data set on disk before it is measured. */
const SETTLE_MS_MAX = 120_000;

/**
 * Has the server save what was preloaded, so that a run begins as one of a server that has been up for a while: with a snapshot, or with an
 * append-only file whose base holds the data set.
 */
export async function saveDataSet(server: PersistentServer, mode: PersistenceMode, signal: AbortSignal): Promise<void> {
  const commands = mode === 'aof-rdb' ? [0, 1].map((turn) => snapshotCommand(mode, turn)) : [snapshotCommand(mode, 0)];
  for (const command of commands) {
    if (command === null) continue;
    await server.call(command);
    const deadline = performance.now() + SETTLE_MS_MAX;
    for (;;) {
      const info = await server.info('persistence');
      if (
        !['rdb_bgsave_in_progress', 'aof_rewrite_in_progress', 'aof_rewrite_scheduled'].some(
          (field) => Number(info[field]) > 0,
        )
      ) {
        break;
      }
      signal.throwIfAborted();
      if (performance.now() > deadline) throw new Error(`the data set was not saved within ${SETTLE_MS_MAX / 1_000} s`);
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  }
}

/** Files below a folder with their sizes, largest first. */
export function filesBelow(folder: string): { name: string; bytes: number }[] {
  const files: { name: string; bytes: number }[] = [];
  for (const entry of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
    const stat = statSync(join(folder, entry), { throwIfNoEntry: false });
    if (stat?.isFile()) files.push({ name: entry, bytes: stat.size });
  }
  return files.sort((a, b) => b.bytes - a.bytes || (a.name < b.name ? -1 : 1));
}

export class PersistenceWatch {
  private readonly server: PersistentServer;
  private readonly spec: PersistenceSpec;
  private readonly events: PersistenceEvent[] = [];
  private readonly copies: { t: number; bytes: number }[] = [];
  private readonly spans: number[] = [];
  private readonly ended = { snapshot: 0, rewrite: 0 };
  private readonly begunAt = { snapshot: -1, rewrite: -1 };
  private pending = false;
  private delayed = -1;
  private delayedAtStart = -1;
  private pauseUs: number | null = null;
  private copiedBytes: number | null = null;
  private startMs = 0;
  private turn = 0;
  private nextS: number;
  private stopped = false;
  private loop: Promise<void> = Promise.resolve();

  constructor(server: PersistentServer, spec: PersistenceSpec) {
    this.server = server;
    this.spec = spec;
    this.nextS = spec.snapshotEveryS > 0 ? spec.snapshotEveryS / 2 : Number.POSITIVE_INFINITY;
  }

  /** The measured phase begins. */
  start(): void {
    this.startMs = performance.now();
    this.loop = this.run().catch(() => {});
  }

  /** The measured phase has ended. */
  async stop(): Promise<void> {
    this.stopped = true;
    await this.loop;
  }

  private async run(): Promise<void> {
    while (!this.stopped) {
      const info = await this.server.info('persistence');
      const t = (performance.now() - this.startMs) / 1_000;
      await this.note(info, t);
      if (t >= this.nextS && this.begunAt.snapshot < 0 && this.begunAt.rewrite < 0) {
        const command = snapshotCommand(this.spec.mode, this.turn++);
        this.nextS = t + this.spec.snapshotEveryS;
        // One of a small data set may be over before the server is asked again: it is noted as begun at once.
        const begun = command !== null && (await this.server.call(command).catch(() => null)) !== null;
        const kind = command === 'BGSAVE' ? 'snapshot' : 'rewrite';
        if (begun) await this.phase(kind, true, (performance.now() - this.startMs) / 1_000, undefined);
      }
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  }

  private event(kind: PersistenceEvent['kind'], t: number): void {
    if (this.events.length < EVENTS_MAX) this.events.push({ t: Number(t.toFixed(3)), kind });
  }

  private async note(info: Record<string, string>, t: number): Promise<void> {
    const flag = (field: string): boolean => Number(info[field] ?? 0) > 0;
    await this.phase('snapshot', flag('rdb_bgsave_in_progress'), t, info['rdb_last_cow_size']);
    await this.phase('rewrite', flag('aof_rewrite_in_progress'), t, info['aof_last_cow_size']);
    const pending = flag('aof_pending_bio_fsync');
    if (pending && !this.pending) this.event('fsync', t);
    this.pending = pending;
    const delayed = Number(info['aof_delayed_fsync'] ?? -1);
    if (this.delayedAtStart < 0) this.delayedAtStart = delayed;
    else if (delayed > this.delayed) this.event('write-postponed', t);
    this.delayed = delayed;
    const copying = this.begunAt.snapshot >= 0 || this.begunAt.rewrite >= 0;
    this.copies.push({ t, bytes: copying ? Number(info['current_cow_size'] ?? 0) : 0 });
  }

  private async phase(kind: 'snapshot' | 'rewrite', active: boolean, t: number, copied: string | undefined) {
    const began = this.begunAt[kind];
    if (active === began >= 0) return;
    this.event(`${kind}-${active ? 'start' : 'end'}`, t);
    this.begunAt[kind] = active ? t : -1;
    if (active) {
      const pause = Number((await this.server.info('stats'))['latest_fork_usec']);
      if (pause >= 0) this.pauseUs = Math.max(this.pauseUs ?? 0, pause);
      return;
    }
    this.ended[kind]++;
    this.spans.push(t - began);
    this.copies.push({ t, bytes: Number(copied ?? 0) });
    this.copiedBytes = Math.max(this.copiedBytes ?? 0, Number(copied ?? 0));
  }

  /** Puts the copied bytes into the time series. */
  fill(timeline: readonly TimelineRow[]): void {
    let from = 0;
    for (const row of timeline) {
      const seen = this.copies.filter((copy) => copy.t > from && copy.t <= row.t);
      row.copied = seen.length === 0 ? null : Math.max(...seen.map((copy) => copy.bytes));
      from = row.t;
    }
  }

  /** What was seen; the crash is the caller's to add. */
  result(): PersistenceResult {
    const { spans } = this;
    return {
      mode: this.spec.mode,
      events: this.events,
      snapshots: this.ended.snapshot,
      rewrites: this.ended.rewrite,
      snapshotS: spans.length === 0 ? null : spans.reduce((sum, span) => sum + span, 0) / spans.length,
      pauseUs: this.pauseUs,
      copiedBytes: this.copiedBytes,
      delayedFsyncs: this.delayedAtStart < 0 ? null : this.delayed - this.delayedAtStart,
      files: filesBelow(this.server.folder),
      crash: null,
    };
  }
}
