/** What a server tells and promises while its append-only file cannot be synced, and when it can again. */
import { expect, it } from 'vitest';
import { systemText } from '../../engines/base/system-text.ts';
import type { FileHandle } from '../../engines/ports.ts';
import type { FileSyncer } from '../../engines/redis/persistence/aof-sync.ts';
import type { SnapshotEnd, Snapshots } from '../../engines/redis/persistence/snapshots.ts';
import { MemoryDisk } from '../support/memory-disk.ts';
import { RespError } from '../support/resp-client.ts';
import { Loopback } from './support/loopback.ts';

const ARENA_BYTES = 8 * 1024 * 1024;

/** Syncs when the test says so. */
class HeldSyncer implements FileSyncer {
  busy = false;
  error = '';
  private file: FileHandle = -1;
  private readonly disk: MemoryDisk;
  constructor(disk: MemoryDisk) {
    this.disk = disk;
  }
  sync(file: FileHandle): void {
    this.file = file;
    this.busy = true;
  }
  wait(): void {
    if (!this.busy) return;
    this.busy = false;
    this.error = '';
    try {
      this.disk.sync(this.file);
    } catch (error) {
      this.error = systemText(error);
    }
  }
}

/** Snapshots that never get written. */
class LostSnapshots implements Snapshots {
  running = false;
  readonly keysSaved = 0;
  readonly copiedBytes = 0;
  start(): number {
    this.running = true;
    return 1;
  }
  prepare(): boolean {
    return true;
  }
  takeEnd(): SnapshotEnd | null {
    this.running = false;
    return { error: 'the disk is ill', fileBytes: 0, copiedBytes: 0 };
  }
  abort(): void {}
  tidy(): boolean {
    return false;
  }
}

function start(disk: MemoryDisk): { lab: Loopback; syncer: HeldSyncer } {
  const lab = new Loopback(
    ARENA_BYTES,
    (config) => {
      config.appendonly = true;
      config.appendfsync = 'everysec';
      config.autoAofRewritePercentage = 0;
      config.save = [];
    },
    1,
    'debian',
    disk,
  );
  const syncer = new HeldSyncer(disk);
  lab.core.persistence.aof.sync.syncer = syncer;
  lab.core.persistence.snapshots = new LostSnapshots();
  lab.core.refreshTime();
  lab.core.persistence.loadAtStart();
  lab.open(0);
  return { lab, syncer };
}

/** Two seconds go by, and what is to be synced is. */
function pass(lab: Loopback, syncer: HeldSyncer): void {
  for (let i = 0; i < 4; i++) {
    lab.nowMs += 500;
    lab.core.cron();
    lab.core.onTurn();
    syncer.wait();
    lab.core.onTurn();
  }
}

const keysAfterPowerCut = (disk: MemoryDisk): unknown => start(disk.afterPowerCut()).lab.command(0, 'KEYS', '*');

it('refuses writes as soon as a sync has failed, and takes them again when one works', () => {
  const disk = new MemoryDisk();
  const { lab, syncer } = start(disk);
  lab.command(0, 'SET', 'a', '1');
  disk.fault = (call) => (call === 'sync' ? 'EIO' : null);
  pass(lab, syncer);
  expect(lab.command(0, 'SET', 'b', '1')).toEqual(
    new RespError('MISCONF Errors writing to the AOF file: Input/output error'),
  );
  expect(lab.command(0, 'INFO', 'persistence')).toContain('aof_last_write_status:err');
  disk.fault = () => null;
  pass(lab, syncer);
  expect(lab.command(0, 'INFO', 'persistence')).toContain('aof_last_write_status:ok');
  expect(lab.command(0, 'SET', 'b', '1')).toBe('OK');
  pass(lab, syncer);
  expect(keysAfterPowerCut(disk)).toHaveLength(2);
});

it('syncs a part that a rewrite has left until that works, and nothing behind it before', () => {
  const disk = new MemoryDisk();
  const { lab, syncer } = start(disk);
  lab.command(0, 'SET', 'a', '1');
  disk.fault = (call, path) => (call === 'sync' && path.endsWith('.1.incr.aof') ? 'EIO' : null);
  lab.command(0, 'BGREWRITEAOF');
  lab.command(0, 'SET', 'b', '1');
  pass(lab, syncer);
  expect(lab.command(0, 'SET', 'c', '1')).toBeInstanceOf(RespError);
  expect(keysAfterPowerCut(disk), 'no hole').toEqual([]);
  disk.fault = () => null;
  pass(lab, syncer);
  expect(keysAfterPowerCut(disk)).toHaveLength(2);
  expect(disk.openCount, 'the present increment alone is open').toBe(1);
});

it('syncs what the run before it had left in the memory of the system', () => {
  const disk = new MemoryDisk();
  const { lab } = start(disk);
  lab.command(0, 'SET', 'a', '1');
  lab.command(0, 'BGREWRITEAOF');
  lab.command(0, 'SET', 'b', '1');
  const killed = disk.afterKill();
  expect(keysAfterPowerCut(killed)).toEqual([]);
  const next = start(killed);
  pass(next.lab, next.syncer);
  expect(keysAfterPowerCut(killed)).toHaveLength(2);
});

it('can be switched off while the disk fails', () => {
  const disk = new MemoryDisk();
  const { lab } = start(disk);
  lab.command(0, 'SET', 'a', '1');
  disk.fault = (call) => (call === 'sync' || call === 'remove' ? 'EIO' : null);
  expect(lab.core.persistence.setAppendOnly(false)).toBe(true);
  expect(lab.command(0, 'SET', 'b', '1')).toBe('OK');
  expect(disk.openCount).toBe(0);
  disk.fault = () => null;
  expect(lab.core.persistence.setAppendOnly(true)).toBe(true);
  disk.fault = (call) => (call === 'sync' || call === 'remove' ? 'EIO' : null);
  expect(lab.core.persistence.setAppendOnly(false), 'before it has a base').toBe(true);
  expect(disk.openCount).toBe(0);
});

it('gives no increment the name of one that is still to be removed', () => {
  const disk = new MemoryDisk();
  const { lab } = start(disk);
  lab.core.persistence.snapshots = null;
  lab.core.persistence.setAppendOnly(false);
  disk.fault = (call) => (call === 'remove' ? 'EIO' : null);
  lab.command(0, 'BGREWRITEAOF');
  disk.fault = () => null;
  lab.command(0, 'SET', 'a', '1');
  lab.core.persistence.setAppendOnly(true);
  lab.command(0, 'SET', 'b', '1');
  const next = start(disk.afterKill());
  expect(next.lab.command(0, 'KEYS', '*')).toHaveLength(2);
});

it('does not take up what lies in a file with the name of a new increment', () => {
  const disk = new MemoryDisk();
  disk.put('./appendonlydir/appendonly.aof.1.incr.aof', Buffer.from('*3\r\n$3\r\nSET\r\n$1\r\nz\r\n$1\r\n1\r\n'));
  const { lab, syncer } = start(disk);
  lab.command(0, 'SET', 'a', '1');
  pass(lab, syncer);
  expect(start(disk.afterKill()).lab.command(0, 'KEYS', '*')).toEqual(['a']);
});
