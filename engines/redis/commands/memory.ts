/** MEMORY. */
import { adminOf } from '../admin.ts';
import type { Client } from '../client.ts';
import type { CommandProc } from '../command.ts';
import { LOOKUP_NONOTIFY, LOOKUP_NOSTATS, LOOKUP_NOTOUCH, lookupKey } from '../db.ts';
import { keyMemory, memoryOverhead } from '../memory-overhead.ts';
import {
  addReplyBulkString,
  addReplyDouble,
  addReplyError,
  addReplyLong,
  addReplyMapLen,
  addReplyNull,
  addReplyOk,
  addReplyVerbatim,
  SYNTAX_ERROR,
} from '../protocol/reply.ts';
import type { RedisCore } from '../redis-core.ts';
import { dictFind } from '../structures/dict.ts';
import { dictKey } from '../structures/dict-layout.ts';
import { formatDouble17 } from '../structures/double.ts';
import { addHelp } from './help.ts';
import { integerOrReply } from './integer-arguments.ts';

/** Below this the doctor has nothing to say. */
const DOCTOR_MIN_BYTES = 5 * 1_048_576;

/** MEMORY USAGE looks at so many elements unless told otherwise. */
const USAGE_SAMPLES = 5;

function usage(core: RedisCore, c: Client): void {
  let samples: number = USAGE_SAMPLES;
  for (let i = 3; i < c.argc; i += 2) {
    if (!c.argIs(i, 'samples') || i + 1 >= c.argc) {
      addReplyError(c, SYNTAX_ERROR);
      return;
    }
    const given = integerOrReply(c, i + 1);
    if (given === null) return;
    if (given < 0) {
      addReplyError(c, SYNTAX_ERROR);
      return;
    }
    samples = given === 0 ? Number.POSITIVE_INFINITY : given;
  }
  const flags = LOOKUP_NOTOUCH | LOOKUP_NONOTIFY | LOOKUP_NOSTATS;
  const robj = lookupKey(core, c.db, c.argOff[2]!, c.argLen[2]!, flags);
  if (robj === 0) {
    addReplyNull(c);
    return;
  }
  const entry = dictFind(core.heap, c.db.dict, c.argOff[2]!, c.argLen[2]!);
  addReplyLong(c, keyMemory(core, dictKey(core.heap, entry), robj, samples));
}

function stats(core: RedisCore, c: Client): void {
  const m = memoryOverhead(core);
  const ratio = (a: number, b: number) => (b === 0 ? 0 : a / b);
  const integers = (pairs: readonly (readonly [string, number])[]) => {
    for (const [name, value] of pairs) {
      addReplyBulkString(c, name);
      addReplyLong(c, Math.trunc(value));
    }
  };
  const double = (name: string, value: number) => {
    addReplyBulkString(c, name);
    addReplyDouble(c, value, formatDouble17(value));
  };
  addReplyMapLen(c, 27 + m.dbs.length);
  integers([
    ['peak.allocated', m.peak],
    ['total.allocated', m.used],
    ['startup.allocated', m.startup],
    ['replication.backlog', 0],
    ['clients.slaves', 0],
    ['clients.normal', m.clientsNormal],
    ['cluster.links', 0],
    ['aof.buffer', 0],
    ['lua.caches', core.scripting?.scripts.bytes ?? 0],
    ['functions.caches', core.scripting?.functions.bytes ?? 0],
  ]);
  for (const db of m.dbs) {
    addReplyBulkString(c, `db.${db.id}`);
    addReplyMapLen(c, 3);
    integers([
      ['overhead.hashtable.main', db.main],
      ['overhead.hashtable.expires', db.expires],
      ['overhead.hashtable.slot-to-keys', 0],
    ]);
  }
  integers([
    ['overhead.total', m.overhead],
    ['keys.count', m.keys],
    ['keys.bytes-per-key', m.bytesPerKey],
    ['dataset.bytes', m.dataset],
  ]);
  double('dataset.percentage', m.datasetPercent);
  double('peak.percentage', m.peakPercent);
  integers([
    ['allocator.allocated', m.allocated],
    ['allocator.active', m.active],
    ['allocator.resident', m.allocatorResident],
  ]);
  double('allocator-fragmentation.ratio', ratio(m.active, m.allocated));
  integers([['allocator-fragmentation.bytes', m.active - m.allocated]]);
  double('allocator-rss.ratio', ratio(m.allocatorResident, m.active));
  integers([['allocator-rss.bytes', m.allocatorResident - m.active]]);
  double('rss-overhead.ratio', ratio(m.resident, m.allocatorResident));
  integers([['rss-overhead.bytes', m.resident - m.allocatorResident]]);
  double('fragmentation', ratio(m.resident, m.used));
  integers([['fragmentation.bytes', m.resident - m.used]]);
}

/** The doctor's findings, in words of our own. */
function doctorReport(core: RedisCore): string {
  const m = memoryOverhead(core);
  if (m.used < DOCTOR_MIN_BYTES) return 'There is too little data for a diagnosis: fill the server first.\n';
  const findings: string[] = [];
  if (m.peak / m.used > 1.5) {
    findings.push(
      'Peak: memory use was more than 1.5 times the present one, so free pages may keep the process large.',
    );
  }
  if (m.active / Math.max(1, m.allocated) > 1.1) {
    findings.push('Fragmentation: the allocator holds more than 1.1 times what is allocated in partly used slabs.');
  }
  if (m.allocatorResident / Math.max(1, m.active) > 1.1) {
    findings.push('Free pages: the allocator has not yet returned them to the system; MEMORY PURGE does so at once.');
  }
  if (m.clientsNormal / Math.max(1, core.clientCount) > 200 * 1024) {
    findings.push('Clients: their buffers take more than 200 KiB each on average.');
  }
  return findings.length === 0
    ? 'No memory problem was found.\n'
    : `${findings.map((line) => `* ${line}`).join('\n')}\n`;
}

export const memoryProcs: Readonly<Record<string, CommandProc>> = {
  'memory|usage': usage,
  'memory|stats': stats,
  'memory|doctor': (core, c) => addReplyVerbatim(c, doctorReport(core), 'txt'),
  'memory|malloc-stats': (core, c) => addReplyVerbatim(c, adminOf(core).host.allocatorReport(), 'txt'),
  'memory|purge': (core, c) => {
    adminOf(core).host.purgeMemory();
    addReplyOk(c);
  },
  'memory|help': addHelp([
    'DOCTOR',
    '    Point out memory problems.',
    'MALLOC-STATS',
    "    Report the allocator's own figures.",
    'PURGE',
    '    Give unused pages back to the system.',
    'STATS',
    '    Report what the memory is used for.',
    'USAGE <key> [SAMPLES <count>]',
    '    Tell how many bytes a key and its value take.',
  ]),
};
