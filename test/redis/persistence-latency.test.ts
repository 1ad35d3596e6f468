/** What LATENCY remembers of files: the original's events, each at its occasion. */
import { expect, it } from 'vitest';
import type { FileSyncer } from '../../engines/redis/persistence/aof-sync.ts';
import type { SnapshotEnd, Snapshots } from '../../engines/redis/persistence/snapshots.ts';
import { MemoryDisk } from '../support/memory-disk.ts';
import { Loopback } from './support/loopback.ts';

const ARENA_BYTES = 64 * 1024 * 1024;
/** Each look at the clock takes so long: whatever looks twice has taken long enough to be remembered. */
const READING_US = 2_000;

/** Never ends by itself. */
class HangingSnapshots implements Snapshots {
  running = false;
  readonly keysSaved = 0;
  readonly copiedBytes = 0;
  private ended = false;
  prepare(): boolean {
    return true;
  }
  start(): number {
    this.running = true;
    return 5_000;
  }
  takeEnd(): SnapshotEnd | null {
    if (!this.ended) return null;
    this.running = false;
    return { error: 'aborted', fileBytes: 0, copiedBytes: 0 };
  }
  abort(): void {
    this.ended = true;
  }
  tidy(): boolean {
    return false;
  }
}

class HangingSyncer implements FileSyncer {
  busy = false;
  readonly error = '';
  sync(): void {
    this.busy = true;
  }
  wait(): void {}
}

function start(policy: 'always' | 'everysec'): Loopback {
  const lab = new Loopback(
    ARENA_BYTES,
    (config) => {
      config.appendonly = true;
      config.appendfsync = policy;
      config.latencyMonitorThreshold = 1;
      config.save = [];
    },
    1,
    'debian',
    new MemoryDisk(),
  );
  lab.core.refreshTime();
  lab.core.persistence.loadAtStart();
  lab.open(0);
  return lab;
}

/** Runs a command whose clock stands still, then ends the turn, whose clock does not. @returns the events of files since the last time */
function eventsOf(lab: Loopback, ...words: string[]): string[] {
  lab.core.latency.series.clear();
  lab.readingUs = READING_US;
  lab.command(0, ...words);
  lab.core.onTurn();
  lab.readingUs = 0;
  return [...lab.core.latency.series.keys()].filter((name) => /^aof|^rdb|^fork/.test(name)).sort();
}

it('tells a write and its sync', () => {
  const lab = start('always');
  expect(eventsOf(lab, 'SET', 'k', 'v')).toEqual(['aof-fsync-always', 'aof-write', 'aof-write-alone']);
  expect(eventsOf(lab, 'GET', 'k')).toEqual([]);
});

it('tells a start of a snapshot, writes while it is written, and its end before its time', () => {
  const lab = start('always');
  lab.core.persistence.snapshots = new HangingSnapshots();
  expect(eventsOf(lab, 'BGSAVE')).toEqual(['fork']);
  expect(lab.core.latency.series.get('fork')!.max).toBe(5);
  expect(eventsOf(lab, 'SET', 'k', 'v')).toEqual(['aof-fsync-always', 'aof-write', 'aof-write-active-child']);
  expect(eventsOf(lab, 'FLUSHALL')).toContain('rdb-unlink-temp-file');
});

it('tells a write that did not wait any longer for a sync', () => {
  const lab = start('everysec');
  const syncer = new HangingSyncer();
  lab.core.persistence.aof.sync.syncer = syncer;
  lab.nowMs += 2_000;
  lab.core.refreshTime();
  expect(eventsOf(lab, 'SET', 'k', '1')).toEqual(['aof-write', 'aof-write-alone']);
  expect(syncer.busy).toBe(true);
  expect(eventsOf(lab, 'SET', 'k', '2'), 'put off').toEqual([]);
  lab.nowMs += 3_000;
  lab.core.refreshTime();
  expect(eventsOf(lab, 'SET', 'k', '3')).toEqual(['aof-write', 'aof-write-pending-fsync']);
});
