/**
 * The data as the shortest commands that make them: the base of an append-only file where `aof-use-rdb-preamble` is off. The commands
 * are the original's, elements in batches.
 */
import { dictFind } from '../structures/dict.ts';
import { DictIterator } from '../structures/dict-iterator.ts';
import { dictIntBig, dictKey, dictSize, dictValue } from '../structures/dict-layout.ts';
import { formatDouble17 } from '../structures/double.ts';
import { lpFirst, lpNext } from '../structures/listpack.ts';
import { unpackNode } from '../structures/quicklist-compression.ts';
import {
  nodeEntry,
  nodeIsCompressed,
  nodeIsPlain,
  nodeNext,
  nodeSize,
  quicklistHead,
} from '../structures/quicklist-node.ts';
import {
  OBJ_ENCODING_HT,
  OBJ_ENCODING_INT,
  OBJ_ENCODING_LISTPACK,
  OBJ_HASH,
  OBJ_LIST,
  OBJ_SET,
  OBJ_STREAM,
  OBJ_STRING,
  OBJ_ZSET,
  robjEncoding,
  robjIntText,
  robjPtr,
  robjType,
} from '../structures/robj.ts';
import { sdsLen } from '../structures/sds.ts';
import { zzlFirst, zzlNext, zzlScoreOf } from '../structures/zset-listpack.ts';
import { hashTypeLength } from '../types/hash.ts';
import { listLength } from '../types/list.ts';
import { SetIterator, setTypeSize } from '../types/set.ts';
import { zsetDict, zsetLength } from '../types/zset-object.ts';
import { rewriteStream } from './aof-rewrite-stream.ts';
import { CommandWriter } from './command-writer.ts';
import type { RdbContent } from './rdb-save.ts';
import type { RdbWriter } from './rdb-writer.ts';

/** So many elements, pairs or fields at the most come with one command. */
const BATCH = 64;
const TELL_EVERY_KEYS = 1_024;

/** Begins a command whenever a batch is full: of `left` items, each `width` arguments, the first of a batch comes next. */
class Batches {
  private readonly w: CommandWriter;
  private readonly name: string;
  private readonly key: number;
  private readonly width: number;
  private left: number;
  private room = 0;

  constructor(w: CommandWriter, name: string, key: number, items: number, width: number) {
    this.w = w;
    this.name = name;
    this.key = key;
    this.left = items;
    this.width = width;
  }

  /** To be called before each item. */
  item(): void {
    if (this.room === 0) {
      this.room = Math.min(BATCH, this.left);
      this.w.begin(2 + this.room * this.width, this.name);
      this.w.sds(this.key);
    }
    this.room--;
    this.left--;
  }
}

/**
 * Reads the nodes as they lie. Compressed ones are unpacked beside: the nodes of frozen memory belong to an allocator that is not here, so
 * their entries cannot be exchanged as a cursor does it.
 */
function rewriteList(w: CommandWriter, key: number, o: number): void {
  const h = w.heap;
  const batches = new Batches(w, 'RPUSH', key, listLength(h, o), 1);
  for (let node = quicklistHead(h, robjPtr(h, o)); node !== 0; node = nodeNext(h, node)) {
    const isCompressed = nodeIsCompressed(h, node);
    const entry = isCompressed ? unpackNode(h, node) : nodeEntry(h, node);
    if (nodeIsPlain(h, node)) {
      batches.item();
      w.arg(entry, nodeSize(h, node));
    } else {
      for (let p = lpFirst(h, entry); p !== 0; p = lpNext(h, entry, p)) {
        batches.item();
        w.element(p);
      }
    }
    if (isCompressed) h.free(entry);
  }
}

function rewriteSet(w: CommandWriter, key: number, o: number): void {
  const h = w.heap;
  const batches = new Batches(w, 'SADD', key, setTypeSize(h, o), 1);
  const members = new SetIterator(h, o);
  while (members.next()) {
    batches.item();
    members.asBytes(h);
    w.arg(members.offset, members.length);
  }
}

function rewriteZset(w: CommandWriter, key: number, o: number): void {
  const h = w.heap;
  const batches = new Batches(w, 'ZADD', key, zsetLength(h, o), 2);
  if (robjEncoding(h, o) === OBJ_ENCODING_LISTPACK) {
    const lp = robjPtr(h, o);
    for (let p = zzlFirst(h, lp); p !== 0; p = zzlNext(h, lp, p)) {
      batches.item();
      w.text(formatDouble17(zzlScoreOf(h, lp, p)));
      w.element(p);
    }
    return;
  }
  const entries = new DictIterator(h, zsetDict(h, o));
  for (let entry = entries.next(); entry !== 0; entry = entries.next()) {
    batches.item();
    w.text(formatDouble17(h.f64[dictValue(h, entry) >>> 3]));
    w.sds(dictKey(h, entry));
  }
}

function rewriteHash(w: CommandWriter, key: number, o: number): void {
  const h = w.heap;
  const batches = new Batches(w, 'HMSET', key, hashTypeLength(h, o), 2);
  if (robjEncoding(h, o) === OBJ_ENCODING_HT) {
    const entries = new DictIterator(h, robjPtr(h, o));
    for (let entry = entries.next(); entry !== 0; entry = entries.next()) {
      batches.item();
      w.sds(dictKey(h, entry));
      w.sds(dictValue(h, entry));
    }
    return;
  }
  const lp = robjPtr(h, o);
  let isField = true;
  for (let p = lpFirst(h, lp); p !== 0; p = lpNext(h, lp, p)) {
    if (isField) batches.item();
    w.element(p);
    isField = !isField;
  }
}

function rewriteValue(w: CommandWriter, key: number, o: number): void {
  const h = w.heap;
  switch (robjType(h, o)) {
    case OBJ_STRING:
      w.begin(3, 'SET');
      w.sds(key);
      if (robjEncoding(h, o) === OBJ_ENCODING_INT) w.text(robjIntText(h, o));
      else w.sds(robjPtr(h, o));
      return;
    case OBJ_LIST:
      rewriteList(w, key, o);
      return;
    case OBJ_SET:
      rewriteSet(w, key, o);
      return;
    case OBJ_ZSET:
      rewriteZset(w, key, o);
      return;
    case OBJ_HASH:
      rewriteHash(w, key, o);
      return;
    case OBJ_STREAM:
      rewriteStream(w, key, robjPtr(h, o));
      return;
    default:
      throw new Error(`Cannot write a value of type ${robjType(h, o)} as commands: the type is unknown`);
  }
}

/**
 * Writes all data as commands.
 * @param saved called with the number of keys written so far, now and then
 */
export function putCommands(to: RdbWriter, content: RdbContent, saved: (keys: number) => void): void {
  const w = new CommandWriter(to);
  const h = content.heap;
  if (content.timestamp) w.timestamp(content.unixtime);
  for (const code of content.libraries) {
    w.begin(3, 'FUNCTION');
    w.text('LOAD');
    w.text(code);
  }
  let keys = 0;
  for (const db of content.dbs) {
    if (dictSize(h, db.dict) === 0) continue;
    w.begin(2, 'SELECT');
    w.text(String(db.id));
    const entries = new DictIterator(h, db.dict);
    for (let entry = entries.next(); entry !== 0; entry = entries.next()) {
      const key = dictKey(h, entry);
      rewriteValue(w, key, dictValue(h, entry));
      const expiry = dictSize(h, db.expires) === 0 ? 0 : dictFind(h, db.expires, key, sdsLen(h, key));
      if (expiry !== 0) {
        w.begin(3, 'PEXPIREAT');
        w.sds(key);
        w.text(String(dictIntBig(h, expiry)));
      }
      keys++;
      if (keys % TELL_EVERY_KEYS === 0) saved(keys);
    }
  }
  saved(keys);
}
