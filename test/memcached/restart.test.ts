import { describe, expect, it } from 'vitest';
import { prepareRestart, restoreCore } from '../../engines/memcached/restart.ts';
import type { RestartState } from '../../engines/memcached/restart-meta.ts';
import { readRestartMeta, writeRestartMeta } from '../../engines/memcached/restart-meta.ts';
import { defaultSettings, type Settings } from '../../engines/memcached/settings.ts';
import { seededRandom } from '../support/seed.ts';
import { InProcess } from './in-process.ts';

const MEBIBYTE = 1024 * 1024;
const REGION_BYTES = 48 * MEBIBYTE;
/** Beyond what a small core takes of its arena, and at two places, so that pointers must be shifted. */
const OLD_OFFSET = 256 * MEBIBYTE;
const NEW_OFFSET = 300 * MEBIBYTE;
const ARENA_BYTES = 512 * MEBIBYTE;
const START_MS = 1_800_000_000_000;

function settingsAt(offset: number, isReused: boolean, more: Partial<Settings> = {}): Partial<Settings> {
  const memoryRegion = { offset, bytes: REGION_BYTES, isReused };
  return { maxBytes: REGION_BYTES, preallocate: true, memoryFile: 'memory', memoryRegion, ...more };
}

/** A server with a memory file that lies in an array. */
function start(file: Uint8Array | null, atMs = START_MS, more: Partial<Settings> = {}): InProcess {
  const offset = file === null ? OLD_OFFSET : NEW_OFFSET;
  const server = new InProcess(settingsAt(offset, file !== null, more), ARENA_BYTES, atMs);
  if (file !== null) server.memory.u8.set(file, offset);
  return server;
}

function fileOf(server: InProcess): Uint8Array {
  return server.memory.u8.slice(OLD_OFFSET, OLD_OFFSET + REGION_BYTES);
}

/** Leaves in unused memory what other items may have left there: all but the fields of free chunks that are in use. */
function soil(server: InProcess): void {
  const { slabs, u8 } = server.core.items;
  for (let id = 0; id <= slabs.largestClass; id++) {
    const size = id === 0 ? MEBIBYTE : slabs.chunkSize[id]!;
    const count = id === 0 ? 1 : slabs.chunksPerPage[id]!;
    for (let page = 0; page < slabs.pageCount(id); page++) {
      for (let i = 0; i < count; i++) {
        const chunk = slabs.pageAt(id, page) + i * size;
        for (const at of [4, 12, 20]) u8.fill(0xaa, chunk + at, chunk + at + 4);
        u8.fill(0xaa, chunk + 48, chunk + size);
      }
    }
  }
}

/** Keys and values of all sizes: small, large, joined of chunks; some that expire, some read, some deleted. */
function fill(server: InProcess): number {
  const conn = server.open();
  for (let i = 0; i < 3_000; i++) {
    const length = i % 500 === 0 ? 600_000 : (i * 37) % 3_000;
    server.send(conn, `set key${i} ${i} ${i % 3 === 0 ? 100 : 0} ${length}\r\n${'v'.repeat(length)}\r\n`);
    if (i % 7 === 0) server.send(conn, `delete key${i}\r\n`);
    if (i % 5 === 0) server.send(conn, `get key${i}\r\n`);
  }
  return conn;
}

const lines = (text: string): string[] => text.split('\r\n');

describe('A memory file', () => {
  it('holds every item with its value, flags, CAS id and expiry time', { timeout: 60_000 }, () => {
    const old = start(null);
    soil(old);
    const conn = fill(old);
    const keys = Array.from({ length: 3_000 }, (_, i) => `key${i}`);
    const before = keys.map((key) => old.send(conn, `gets ${key}\r\n`));
    const dumped = keys.map((key) => old.send(conn, `mg ${key} t c f s\r\n`));
    old.core.onClose(conn, 0);
    const state = prepareRestart(old.core);
    const file = fileOf(old);

    const renewed = start(file, START_MS + 10_000);
    expect(restoreCore(renewed.core, state)).toBeNull();
    renewed.core.verify();
    const again = renewed.open();
    expect(keys.map((key) => renewed.send(again, `gets ${key}\r\n`))).toEqual(before);
    const later = (line: string): string => line.replace(/ t(\d+)/, (_, ttl: string) => ` t${Number(ttl) - 10}`);
    expect(keys.map((key) => renewed.send(again, `mg ${key} t c f s\r\n`))).toEqual(dumped.map(later));
    renewed.core.verify();
    const set = lines(renewed.send(again, 'set new 0 0 1\r\nx\r\nmg new c\r\n'));
    expect(set).toEqual(['STORED', `HD c${state.currentCas + 1}`, '']);
    renewed.advance(100);
    expect(renewed.send(again, 'get key3\r\n')).toBe('END\r\n');
  });

  it('goes on with its clock though the time of the day was set while the server ran', () => {
    const old = start(null);
    const conn = old.open();
    old.send(conn, 'set a 0 1000 1\r\nx\r\n');
    old.core.onClose(conn, 0);
    const state = prepareRestart(old.core);
    const file = fileOf(old);
    const renewed = start(file, START_MS + 10_000);
    // As if it had begun an hour earlier by the clock on the wall.
    const set = { ...state, processStarted: state.processStarted - 3_600 };
    expect(restoreCore(renewed.core, set)).toBeNull();
    renewed.advance(5);
    expect(renewed.send(renewed.open(), 'mg a t\r\n')).toBe('HD t985\r\n');
  });

  it('frees what was neither stored nor read to its end when the server stopped', () => {
    const old = start(null);
    const conn = fill(old);
    old.send(conn, 'set half 0 0 400000\r\nabc');
    old.send(conn, 'set chunky 0 0 900000\r\nabc');
    const state = prepareRestart(old.core);
    const file = fileOf(old);
    const renewed = start(file);
    expect(restoreCore(renewed.core, state)).toBeNull();
    expect(renewed.core.verify().floatingChunks).toBe(0);
    expect(renewed.core.items.currItems).toBe(old.core.items.currItems);
  });

  it('with damage in it is refused or taken as it is, and never brings the server down', { timeout: 120_000 }, () => {
    const random = seededRandom('damaged memory files');
    const old = start(null);
    const conn = fill(old);
    old.core.onClose(conn, 0);
    const state = prepareRestart(old.core);
    const file = fileOf(old);
    const linked = linkedItems(old).map((item) => item - OLD_OFFSET);
    let refused = 0;
    for (let round = 0; round < 40; round++) {
      const damaged = file.slice();
      for (let hit = 0; hit < 3; hit++) {
        // Mostly headers, where damage is dangerous; also anywhere.
        const item = linked[random.nextBelow(linked.length)]!;
        const at = random.nextFloat() < 0.8 ? item + random.nextBelow(64) : random.nextBelow(REGION_BYTES);
        damaged[at] = random.nextBelow(256);
      }
      const renewed = start(damaged);
      const outcome = restoreCore(renewed.core, state);
      if (outcome !== null) refused++;
      try {
        renewed.core.verify();
        const again = renewed.open();
        for (let i = 0; i < 300; i++) renewed.send(again, `get key${i * 10}\r\nset key${i} 0 0 5\r\nabcde\r\n`);
        renewed.core.verify();
      } catch (error) {
        // A key that has changed can make two items of one name; nothing else may be wrong.
        if (!/is not found by its key/.test(String(error))) throw error;
      }
    }
    // About half of them, by chance.
    expect(refused).toBeGreaterThan(5);
  });
});

function linkedItems(server: InProcess): number[] {
  const { items } = server.core;
  const found: number[] = [];
  for (let id = 0; id < 256; id++)
    for (let item = items.head(id); item !== 0; item = items.u32[item >>> 2]!) found.push(item);
  return found;
}

describe('The description beside a memory file', () => {
  const state: RestartState = {
    currentTime: 63,
    processStarted: 1_795_417_438,
    stopTime: 1_795_417_501,
    currentCas: 4,
    oldestCas: 0,
    loggerGid: 1,
    hashPower: 16,
    oldestLive: 0,
    oldBase: 0x7f8df3400000,
  };
  const settings = { ...defaultSettings(), threads: 1 };
  const text = writeRestartMeta(settings, state);

  function read(changed: string, s: Settings = settings): { state: RestartState | null; messages: string[] } {
    const messages: string[] = [];
    return { state: readRestartMeta(changed, s, (line) => messages.push(line), 1_795_417_501), messages };
  }

  it('is the text that the original writes', () => {
    expect(text).toBe(
      `Tmain
Kslab_config 1.25
Kmaxbytes 67108864
Kchunk_size 48
Kitem_size_max 1048576
Kslab_chunk_size_max 524288
Kslab_page_size 1048576
Kuse_cas true
Kslab_reassign true
Kcurrent_time 63
Kprocess_started 1795417438
Kstop_time 1795417501
Kcurrent_cas 4
Koldest_cas 0
Klogger_gid 1
Khashpower 16
Koldest_live 0
Kmmap_oldbase 0x7f8df3400000
`,
    );
    expect(read(text)).toEqual({ state, messages: [] });
  });

  const missing = '[restart] missing some metadata lines';
  const incompatible = (key: string, value: string): string =>
    `[restart] restart incompatible due to setting for [${key}] [old value: ${value}]`;

  it.each(text.split('\n').slice(1, -1))('is refused without the line %s', (line) => {
    expect(read(text.replace(`${line}\n`, ''))).toEqual({ state: null, messages: [missing] });
  });

  it.each(text.split('\n').slice(1, -2))('is refused with nonsense in the line %s', (line) => {
    const key = line.slice(1, line.indexOf(' '));
    expect(read(text.replace(line, `K${key} x`))).toEqual({ state: null, messages: [incompatible(key, 'x'), missing] });
  });

  it.each<[string, string[]]>([
    ['', ['[restart] Failed to read a tag from metadata file']],
    ['sdfsdf sdf\n', ['[restart] invalid metadata line:\n\nsdfsdf sdf', '[restart] corrupt metadata file']],
    [text.slice(6), ['[restart] corrupt metadata file']],
    ['Tother\n', ['[restart] internal handler for metadata tag not found: other:']],
    [text.replace('Kuse', 'Zuse'), ['[restart] invalid metadata line:\n\nZuse_cas true', missing]],
    [
      text.replace('0x7f8df3400000', 'x'),
      ['[restart] failed to parse mmap_oldbase: x', incompatible('mmap_oldbase', 'x')],
    ],
    [text.replace('hashpower 16', 'hashpower 7'), [incompatible('hashpower', '7'), missing]],
    [text.replace('7501', '7502'), [incompatible('stop_time', '1795417502'), missing]],
    [text.split('\n').slice(0, 5).join('\n'), [missing]],
  ])(
    'is refused as the original refuses it, or instead of ending as the original does: case %#',
    (changed, messages) => {
      expect(read(changed)).toEqual({ state: null, messages });
    },
  );

  it('may hold lines that nobody knows, and lines twice', () => {
    expect(read(`${text}Kfoo 3\n`)).toEqual({ state, messages: ['[restart] unknown/unhandled key: foo'] });
    expect(read(text + text.slice(6))).toEqual({ state, messages: [] });
  });

  it.each<[Partial<Settings>, string, string]>([
    [{ maxBytes: 128 * MEBIBYTE }, 'maxbytes', '67108864'],
    [{ chunkSize: 40 }, 'chunk_size', '48'],
    [{ factor: 1.3 }, 'slab_config', '1.25'],
    [{ slabSizes: [100, 200] }, 'slab_config', '1.25'],
    [{ useCas: false }, 'use_cas', 'true'],
    [{ itemSizeMax: 2 * MEBIBYTE }, 'item_size_max', '1048576'],
    [{ slabChunkSizeMax: 16_384 }, 'slab_chunk_size_max', '524288'],
    [{ slabReassign: false }, 'slab_reassign', 'true'],
  ])('is refused by a server with %j', (more, key, value) => {
    expect(read(text, { ...settings, ...more })).toEqual({
      state: null,
      messages: [incompatible(key, value), missing],
    });
  });
});
