/** LCS: the longest common subsequence of two strings, by dynamic programming over all prefixes. */
import type { Client } from '../client.ts';
import { lookupKeyRead } from '../db.ts';
import {
  addReplyArrayLen,
  addReplyBulkString,
  addReplyError,
  addReplyLong,
  addReplyMapLen,
  beginDeferred,
  endDeferred,
  SYNTAX_ERROR,
} from '../protocol/reply.ts';
import type { RedisCore } from '../redis-core.ts';
import { OBJ_ENCODING_INT, OBJ_STRING, robjEncoding, robjIntText, robjPtr, robjType } from '../structures/robj.ts';
import { sdsLen } from '../structures/sds.ts';
import { argNumber, readInteger } from './integer-arguments.ts';

/** Cells of the table that may be had at the most: 1 GiB. */
/** The original reckons with so many bytes for each pair of characters. */
const CELL_BYTES = 4;
const MAX_CELLS = 2 ** 28;

function textOf(core: RedisCore, value: number): Uint8Array {
  const h = core.heap;
  if (value === 0) return new Uint8Array(0);
  if (robjEncoding(h, value) === OBJ_ENCODING_INT) {
    return Uint8Array.from(robjIntText(h, value), (char) => char.charCodeAt(0));
  }
  const s = robjPtr(h, value);
  return h.u8.slice(s, s + sdsLen(h, s));
}

/** The length of the longest common subsequence of a's first i and b's first j bytes at [i * (b.length + 1) + j]. */
function fillTable(a: Uint8Array, b: Uint8Array): Uint32Array {
  const width = b.length + 1;
  const table = new Uint32Array((a.length + 1) * width);
  for (let i = 1; i <= a.length; i++) {
    for (let j = 1; j <= b.length; j++) {
      const at = i * width + j;
      if (a[i - 1] === b[j - 1]) table[at] = table[at - width - 1] + 1;
      else table[at] = Math.max(table[at - width], table[at - 1]);
    }
  }
  return table;
}

interface LcsOptions {
  indexes: boolean;
  length: boolean;
  withMatchLength: boolean;
  minMatchLength: number;
}

function parseOptions(core: RedisCore, c: Client): LcsOptions | null {
  const options = { indexes: false, length: false, withMatchLength: false, minMatchLength: 0 };
  for (let i = 3; i < c.argc; i++) {
    if (c.argIs(i, 'idx')) options.indexes = true;
    else if (c.argIs(i, 'len')) options.length = true;
    else if (c.argIs(i, 'withmatchlen')) options.withMatchLength = true;
    else if (c.argIs(i, 'minmatchlen') && i + 1 < c.argc) {
      if (!readInteger(core, c, ++i)) return null;
      options.minMatchLength = Math.max(0, argNumber);
    } else {
      addReplyError(c, SYNTAX_ERROR);
      return null;
    }
  }
  if (options.indexes && options.length) {
    addReplyError(c, 'If you want both the length and indexes, please just use IDX.');
    return null;
  }
  return options;
}

function replyRange(c: Client, aFrom: number, bFrom: number, length: number, withLength: boolean): void {
  addReplyArrayLen(c, withLength ? 3 : 2);
  addReplyArrayLen(c, 2);
  addReplyLong(c, aFrom);
  addReplyLong(c, aFrom + length - 1);
  addReplyArrayLen(c, 2);
  addReplyLong(c, bFrom);
  addReplyLong(c, bFrom + length - 1);
  if (withLength) addReplyLong(c, length);
}

/**
 * Walks the table back from its end, collecting the subsequence and, where asked for, replying with each run of matching bytes as
 * it ends.
 * @returns the subsequence as a string of one byte a char
 */
function walkBack(c: Client, a: Uint8Array, b: Uint8Array, table: Uint32Array, options: LcsOptions): string {
  const width = b.length + 1;
  const found: string[] = [];
  const mark = options.indexes ? beginDeferred(c) : 0;
  let ranges = 0;
  let aFrom = -1;
  let bFrom = 0;
  let aTo = 0;
  let i = a.length;
  let j = b.length;
  while (i > 0 && j > 0) {
    let emit = false;
    if (a[i - 1] === b[j - 1]) {
      found.push(String.fromCharCode(a[i - 1]));
      if (aFrom < 0) {
        aFrom = i - 1;
        aTo = i - 1;
        bFrom = j - 1;
      } else if (aFrom === i && bFrom === j) {
        aFrom--;
        bFrom--;
      } else {
        emit = true;
      }
      if (aFrom === 0 || bFrom === 0) emit = true;
      i--;
      j--;
    } else {
      if (table[(i - 1) * width + j] > table[i * width + j - 1]) i--;
      else j--;
      if (aFrom >= 0) emit = true;
    }
    if (!emit) continue;
    const length = aTo - aFrom + 1;
    if (options.indexes && (options.minMatchLength === 0 || length >= options.minMatchLength)) {
      replyRange(c, aFrom, bFrom, length, options.withMatchLength);
      ranges++;
    }
    aFrom = -1;
  }
  if (options.indexes) endDeferred(c, mark, '*', ranges);
  return found.reverse().join('');
}

export function lcsCommand(core: RedisCore, c: Client): void {
  const first = lookupKeyRead(core, c.db, c.argOff[1], c.argLen[1]);
  const second = lookupKeyRead(core, c.db, c.argOff[2], c.argLen[2]);
  const h = core.heap;
  if ((first !== 0 && robjType(h, first) !== OBJ_STRING) || (second !== 0 && robjType(h, second) !== OBJ_STRING)) {
    addReplyError(c, 'The specified keys must contain string values');
    return;
  }
  const options = parseOptions(core, c);
  if (options === null) return;
  const a = textOf(core, first);
  const b = textOf(core, second);
  if ((a.length + 1) * (b.length + 1) * CELL_BYTES > core.config.protoMaxBulkLen) {
    addReplyError(c, 'Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len');
    return;
  }
  if ((a.length + 1) * (b.length + 1) > MAX_CELLS) {
    addReplyError(c, 'Insufficient memory, failed allocating transient memory for LCS');
    return;
  }
  const table = fillTable(a, b);
  const length = table[table.length - 1];
  if (options.length) {
    addReplyLong(c, length);
  } else if (options.indexes) {
    addReplyMapLen(c, 2);
    addReplyBulkString(c, 'matches');
    walkBack(c, a, b, table, options);
    addReplyBulkString(c, 'len');
    addReplyLong(c, length);
  } else {
    addReplyBulkString(c, walkBack(c, a, b, table, options));
  }
}
