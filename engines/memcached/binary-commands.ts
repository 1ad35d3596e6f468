/**
 * The binary protocol, server side. A request is executed when its header, extras and key are there; a value that follows is
 * read as any other. Replies carry the opcode that was asked, quiet or not.
 */

import { BinaryControl, STORE_SASL } from './binary-control.ts';
import { NO_BYTES, NO_MEMORY } from './binary-replies.ts';
import type { Core } from './core.ts';
import { allocItem, needBytes } from './item-alloc.ts';
import * as L from './layout.ts';
import { CLOSE_NORMAL, LOG_MUTATIONS, LOG_VERBOSE } from './logger.ts';
import * as B from './protocol/binary.ts';
import { bytesOf } from './replies.ts';
import * as A from './sasl.ts';
import * as S from './store.ts';
import { VERSION } from './version.ts';
import { STATUS_NO_MEMORY, STATUS_TOO_LARGE } from './watchers.ts';

const INCOMPLETE = -1;
/** The original's read buffer: a request whose header, extras and key are longer can never be seen whole there. */
const READ_BUFFER_BYTES = 16_384;
/** Values up to this size are stored in one step when they are all there. */
const WHOLE_VALUE_BYTES_MAX = 8_192;
/** More than an item's header and key can take. */
const ITEM_OVERHEAD_MAX = 512;
/** An expiry time that makes incr and decr fail instead of creating the key. */
const NO_CREATE = 0xffffffff;

/** Plain opcode of a quiet one, by opcode; -1: not quiet. */
const LOUD = new Int16Array(256).fill(-1);
for (const [quiet, loud] of [
  [B.OP_SETQ, B.OP_SET],
  [B.OP_ADDQ, B.OP_ADD],
  [B.OP_REPLACEQ, B.OP_REPLACE],
  [B.OP_DELETEQ, B.OP_DELETE],
  [B.OP_INCREMENTQ, B.OP_INCREMENT],
  [B.OP_DECREMENTQ, B.OP_DECREMENT],
  [B.OP_QUITQ, B.OP_QUIT],
  [B.OP_FLUSHQ, B.OP_FLUSH],
  [B.OP_APPENDQ, B.OP_APPEND],
  [B.OP_PREPENDQ, B.OP_PREPEND],
  [B.OP_GETQ, B.OP_GET],
  [B.OP_GETKQ, B.OP_GETK],
  [B.OP_GATQ, B.OP_GAT],
  [B.OP_GATKQ, B.OP_GATK],
] as const) {
  LOUD[quiet] = loud;
}

export class BinaryCommands extends BinaryControl {
  // The request under way.
  #casHigh = 0;
  #casLow = 0;
  /** Where the bytes end that are there, and how many of a value's have been taken with the request. */
  #inputEnd = 0;
  #taken = 0;
  /** No item with so small a value is chunked. */
  readonly #wholeValueBytesMax: number;

  constructor(core: Core) {
    super(core);
    this.#wholeValueBytesMax = Math.min(WHOLE_VALUE_BYTES_MAX, core.settings.slabChunkSizeMax - ITEM_OVERHEAD_MAX);
  }

  /** Executes the request at `at`. @returns the offset behind its key, or -1 when header, extras and key are not all there */
  execute(conn: number, at: number, end: number): number {
    const { core } = this;
    const { u8 } = core;
    if (end - at < B.BINARY_HEADER_BYTES) return INCOMPLETE;
    if (u8[at] !== B.MAGIC_REQUEST) {
      // Replies that have not left yet are lost with the connection, as in the original.
      core.output.dropUncommitted();
      core.connections.closeAfterOutput(conn);
      return end;
    }
    this.keyLength = (u8[at + 2] << 8) | u8[at + 3];
    this.extrasLength = u8[at + 4];
    this.extrasAt = at + B.BINARY_HEADER_BYTES;
    this.keyAt = this.extrasAt + this.extrasLength;
    const next = this.keyAt + this.keyLength;
    if (next - at > READ_BUFFER_BYTES && end - at >= READ_BUFFER_BYTES) {
      core.connections.closeAfterOutput(conn);
      return end;
    }
    if (next > end) return INCOMPLETE;
    this.opcode = u8[at + 1];
    this.bodyLength = this.get32(at + 8);
    this.opaque = this.get32(at + 12);
    this.#casHigh = this.get32(at + 16);
    this.#casLow = this.get32(at + 20);
    core.connections.lastCommandTime[conn] = core.items.now;
    if (core.logger.wants(LOG_VERBOSE)) core.verbose.binaryRequest(conn, at);
    this.#inputEnd = end;
    this.#taken = 0;
    const status = this.#refusal(conn);
    if (status !== B.STATUS_SUCCESS) {
      this.error(status);
      this.settle();
      core.connections.closeAfterOutput(conn);
      return end;
    }
    this.settle();
    return next + this.#taken;
  }

  /** Executes the request unless it is malformed or not allowed. @returns why not, after which the connection is closed */
  #refusal(conn: number): number {
    const { core, opcode } = this;
    if (this.keyLength + this.extrasLength > this.bodyLength) return B.STATUS_UNKNOWN_COMMAND;
    if (core.settings.sasl && (core.connections.auth[conn] & A.AUTHENTICATED) === 0 && !isFree(opcode))
      return B.STATUS_AUTH_ERROR;
    if (this.keyLength > L.KEY_BYTES_MAX) return B.STATUS_EINVAL;
    const loud = LOUD[opcode];
    this.quiet = loud >= 0;
    return this.#dispatch(conn, loud >= 0 ? loud : opcode) ? B.STATUS_SUCCESS : B.STATUS_EINVAL;
  }

  /** @returns false when the request's lengths are not those of its command */
  #dispatch(conn: number, opcode: number): boolean {
    const core = this.core;
    const hasKey = this.keyLength > 0;
    const extras = this.extrasLength;
    const bare = !hasKey && extras === 0 && this.bodyLength === 0;
    const noValue = this.bodyLength === this.keyLength + extras;
    switch (opcode) {
      case B.OP_GET:
      case B.OP_GETK:
        if (extras !== 0 || !noValue || !hasKey) return false;
        this.#get(opcode === B.OP_GETK, false, true);
        return true;
      case B.OP_TOUCH:
      case B.OP_GAT:
      case B.OP_GATK:
        if (extras !== 4 || !hasKey) return false;
        this.#get(opcode === B.OP_GATK, true, opcode !== B.OP_TOUCH);
        return true;
      case B.OP_SET:
      case B.OP_ADD:
      case B.OP_REPLACE:
        if (extras !== 8 || !hasKey) return false;
        this.#update(conn, opcode);
        return true;
      case B.OP_APPEND:
      case B.OP_PREPEND:
        if (extras !== 0 || !hasKey) return false;
        this.#concat(conn, opcode);
        return true;
      case B.OP_DELETE:
        if (extras !== 0 || !noValue || !hasKey) return false;
        this.#delete();
        return true;
      case B.OP_INCREMENT:
      case B.OP_DECREMENT:
        if (extras !== 20 || !noValue || !hasKey) return false;
        this.#arithmetic(opcode === B.OP_INCREMENT);
        return true;
      case B.OP_NOOP:
        if (bare) {
          this.respond(0, 0, NO_BYTES);
          this.leaveNow();
        }
        return bare;
      case B.OP_VERSION:
        if (bare) this.respond(0, 0, bytesOf(VERSION));
        return bare;
      case B.OP_FLUSH:
        if (hasKey || !noValue || (extras !== 0 && extras !== 4)) return false;
        this.flush();
        return true;
      case B.OP_QUIT:
        if (!bare) return false;
        this.respond(0, 0, NO_BYTES);
        core.connections.closeAfterOutput(conn, CLOSE_NORMAL);
        return true;
      case B.OP_STAT:
        if (extras !== 0) return false;
        this.stat(conn);
        return true;
      case B.OP_SASL_LIST_MECHS:
        if (bare) this.saslList(conn);
        return bare;
      case B.OP_SASL_AUTH:
      case B.OP_SASL_STEP:
        if (extras !== 0 || !hasKey) return false;
        this.sasl(conn);
        return true;
      default:
        // Swallows the whole body's length although key and extras are gone already, as the original does.
        this.errorAndSwallow(conn, B.STATUS_UNKNOWN_COMMAND, this.bodyLength);
        return true;
    }
  }

  #get(withKey: boolean, touch: boolean, withValue: boolean) {
    const { core } = this;
    const hash = core.hash(core.view, this.keyAt, this.keyLength);
    core.locks.item(hash);
    const item = core.items.find(hash, this.keyAt, this.keyLength);
    if (item !== 0) this.#hit(item, hash, withKey, touch, withValue);
    core.locks.unlockItem(hash);
    const { counters } = core;
    if (core.settings.detailEnabled) core.prefixes.recordGet(core.u8, this.keyAt, this.keyLength, item !== 0);
    if (touch) counters.touchCmds++;
    else counters.getCmds++;
    if (item !== 0) return;
    if (touch) counters.touchMisses++;
    else counters.getMisses++;
    if (!this.quiet) this.#miss(withKey);
  }

  #hit(item: number, hash: number, withKey: boolean, touch: boolean, withValue: boolean) {
    const { core } = this;
    const { items, counters, u8 } = core;
    const id = u8[item + L.ITEM_CLSID];
    items.bump(item);
    if (touch) {
      counters.touchHits[id & L.CLASS_MASK]++;
      items.u32[(item + L.ITEM_EXPTIME) >>> 2] = items.realTime(this.get32(this.extrasAt));
    } else {
      counters.lruHits[id]++;
    }
    const keyLength = withKey ? this.keyLength : 0;
    const valueLength = withValue ? items.i32[(item + L.ITEM_NBYTES) >>> 2] - 2 : 0;
    let out = core.output.room(B.BINARY_HEADER_BYTES + 4 + keyLength);
    if (out === 0) return;
    out = this.header(
      out,
      B.STATUS_SUCCESS,
      4,
      keyLength,
      4 + keyLength + valueLength,
      items.casHigh(item),
      items.casLow(item),
    );
    this.put32(out, items.clientFlags(item));
    out += 4;
    for (let i = 0; i < keyLength; i++) u8[out + i] = u8[this.keyAt + i];
    core.output.wrote(out + keyLength);
    core.kept.keep(item, hash);
    if (valueLength > 0) core.output.writeValue(item, 2);
  }

  #miss(withKey: boolean) {
    if (!withKey) return this.error(B.STATUS_KEY_ENOENT);
    const { u8 } = this.core;
    const length = this.keyLength;
    let out = this.core.output.room(B.BINARY_HEADER_BYTES + length);
    if (out === 0) return;
    out = this.header(out, B.STATUS_KEY_ENOENT, 0, length, length, 0, 0);
    for (let i = 0; i < length; i++) u8[out + i] = u8[this.keyAt + i];
    this.core.output.wrote(out + length);
  }

  #update(conn: number, opcode: number) {
    const core = this.core;
    const { items } = core;
    const flags = this.get32(this.extrasAt);
    const exptime = items.realTime(this.get32(this.extrasAt + 4));
    const length = this.bodyLength - this.keyLength - this.extrasLength;
    if (core.settings.detailEnabled) core.prefixes.recordSet(core.u8, this.keyAt, this.keyLength);
    const hash = core.hash(core.view, this.keyAt, this.keyLength);
    const item = allocItem(items, this.keyAt, this.keyLength, flags, exptime, length + 2);
    if (item === 0) {
      if (opcode === B.OP_SET) {
        // What could not be replaced would be stale.
        core.locks.item(hash);
        const old = items.find(hash, this.keyAt, this.keyLength);
        if (old !== 0) items.unlink(old, hash);
        core.locks.unlockItem(hash);
      }
      return this.#refuseValue(conn, howOf(opcode), flags, length);
    }
    let how = howOf(opcode);
    items.setCas(item, this.#casHigh, this.#casLow);
    // With -C an item has no room for a demanded id, and the demand is dropped.
    if (items.casLow(item) !== 0 || items.casHigh(item) !== 0) how = S.STORE_CAS;
    this.#takeValue(conn, item, hash, how, length);
  }

  /** The value follows its request: at once, where it is small and all there. */
  #takeValue(conn: number, item: number, hash: number, how: number, length: number) {
    const core = this.core;
    const { items } = core;
    const valueAt = this.keyAt + this.keyLength;
    if (length > this.#wholeValueBytesMax || valueAt + length > this.#inputEnd) {
      core.values.rememberRequest(conn, this.opcode, this.opaque);
      core.values.expect(conn, item, hash, how, length, this.quiet);
      return;
    }
    const at = items.dataOf(item);
    S.copyBytes(core.memory, at, valueAt, length);
    core.u8[at + length] = 13;
    core.u8[at + length + 1] = 10;
    this.#taken = length;
    core.locks.item(hash);
    this.#store(item, how, hash);
    items.release(item);
    core.locks.unlockItem(hash);
  }

  #concat(conn: number, opcode: number) {
    const core = this.core;
    const { items } = core;
    const length = this.bodyLength - this.keyLength;
    if (core.settings.detailEnabled) core.prefixes.recordSet(core.u8, this.keyAt, this.keyLength);
    const item = allocItem(items, this.keyAt, this.keyLength, 0, 0, length + 2);
    const how = howOf(opcode);
    if (item === 0) return this.#refuseValue(conn, how, 0, length);
    items.setCas(item, this.#casHigh, this.#casLow);
    this.#takeValue(conn, item, core.hash(core.view, this.keyAt, this.keyLength), how, length);
  }

  #refuseValue(conn: number, how: number, flags: number, length: number) {
    const { items, counters, logger } = this.core;
    const tooLarge = items.slabs.classOf(needBytes(items, this.keyLength, flags, length + 2)) === 0;
    if (logger.wants(LOG_MUTATIONS)) {
      // The original crashes here.
      logger.itemRefused(tooLarge ? STATUS_TOO_LARGE : STATUS_NO_MEMORY, how, this.keyAt, this.keyLength);
    }
    if (tooLarge) return this.errorAndSwallow(conn, B.STATUS_E2BIG, length);
    counters.storeNoMemory++;
    this.errorAndSwallow(conn, B.STATUS_ENOMEM, length, NO_MEMORY.item);
  }

  /** A value is all there, its line end added. The caller holds the item's lock and calls `settle` afterwards. */
  complete(conn: number, item: number, how: number, hash: number, opcode: number, opaque: number) {
    this.opcode = opcode;
    this.opaque = opaque;
    if (how === STORE_SASL) return this.completeSasl(conn, item);
    this.quiet = LOUD[opcode] >= 0;
    this.#store(item, how, hash);
  }

  /** Stores an item whose value is complete, and answers. The caller holds its lock. */
  #store(item: number, how: number, hash: number) {
    const core = this.core;
    core.counters.setCmds[core.u8[item + L.ITEM_CLSID] & L.CLASS_MASK]++;
    switch (core.store.storeItem(item, how, hash)) {
      case S.RESULT_STORED:
        return this.respond(core.store.casHigh, core.store.casLow, NO_BYTES);
      case S.RESULT_EXISTS:
        return this.error(B.STATUS_KEY_EEXISTS);
      case S.RESULT_NOT_FOUND:
        return this.error(B.STATUS_KEY_ENOENT);
      default:
        if (how === S.STORE_ADD) return this.error(B.STATUS_KEY_EEXISTS);
        if (how === S.STORE_REPLACE) return this.error(B.STATUS_KEY_ENOENT);
        return this.error(B.STATUS_NOT_STORED);
    }
  }

  #delete() {
    const core = this.core;
    const { items, counters } = core;
    if (core.settings.detailEnabled) core.prefixes.recordDelete(core.u8, this.keyAt, this.keyLength);
    const hash = core.hash(core.view, this.keyAt, this.keyLength);
    core.locks.item(hash);
    const item = items.find(hash, this.keyAt, this.keyLength);
    const isWanted = this.#casLow !== 0 || this.#casHigh !== 0;
    const isOther =
      item !== 0 && isWanted && (this.#casLow !== items.casLow(item) || this.#casHigh !== items.casHigh(item));
    if (item !== 0 && !isOther) {
      counters.deleteHits[core.u8[item + L.ITEM_CLSID] & L.CLASS_MASK]++;
      items.unlink(item, hash);
    }
    core.locks.unlockItem(hash);
    if (item === 0) {
      counters.deleteMisses++;
      return this.error(B.STATUS_KEY_ENOENT);
    }
    if (isOther) return this.error(B.STATUS_KEY_EEXISTS);
    this.respond(0, 0, NO_BYTES);
  }

  #respondNumber(value: bigint) {
    const bytes = new Uint8Array(8);
    for (let i = 0; i < 8; i++) bytes[i] = Number((value >> BigInt(56 - 8 * i)) & 0xffn);
    this.respond(this.core.store.casHigh, this.core.store.casLow, bytes);
  }

  #arithmetic(up: boolean) {
    const core = this.core;
    const { store } = core;
    const delta = this.get64(this.extrasAt);
    const hash = core.hash(core.view, this.keyAt, this.keyLength);
    core.locks.item(hash);
    const result = store.addDelta(hash, this.keyAt, this.keyLength, up, delta, this.#casHigh, this.#casLow);
    core.locks.unlockItem(hash);
    switch (result) {
      case S.DELTA_OK:
        return this.#respondNumber(store.deltaValue);
      case S.DELTA_NON_NUMERIC:
        return this.error(B.STATUS_DELTA_BADVAL);
      case S.DELTA_NO_MEMORY:
        return this.error(B.STATUS_ENOMEM, NO_MEMORY.value);
      case S.DELTA_CAS_MISMATCH:
        return this.error(B.STATUS_KEY_EEXISTS);
      default:
        this.#create(hash, up);
    }
  }

  /** A counter that is not there yet. */
  #create(hash: number, up: boolean) {
    const core = this.core;
    const { items, store } = core;
    const exptime = this.get32(this.extrasAt + 16);
    if (exptime === NO_CREATE) {
      if (up) core.counters.incrMisses++;
      else core.counters.decrMisses++;
      return this.error(B.STATUS_KEY_ENOENT);
    }
    const initial = this.get64(this.extrasAt + 8);
    const digits = bytesOf(`${initial}\r\n`);
    const item = allocItem(items, this.keyAt, this.keyLength, 0, items.realTime(exptime), digits.length);
    if (item === 0) return this.error(B.STATUS_ENOMEM, NO_MEMORY.newItem);
    core.u8.set(digits, items.dataOf(item));
    core.locks.item(hash);
    const result = store.storeItem(item, S.STORE_ADD, hash);
    items.release(item);
    core.locks.unlockItem(hash);
    if (result === S.RESULT_STORED) this.#respondNumber(initial);
    else this.error(B.STATUS_NOT_STORED);
  }
}

/** How the value of a storing command is stored, by its loud opcode. */
function howOf(opcode: number): number {
  if (opcode === B.OP_ADD) return S.STORE_ADD;
  if (opcode === B.OP_REPLACE) return S.STORE_REPLACE;
  if (opcode === B.OP_APPEND) return S.STORE_APPEND;
  return opcode === B.OP_PREPEND ? S.STORE_PREPEND : S.STORE_SET;
}

/** Commands for clients that have not shown yet who they are. */
function isFree(opcode: number): boolean {
  return (
    opcode === B.OP_SASL_LIST_MECHS || opcode === B.OP_SASL_AUTH || opcode === B.OP_SASL_STEP || opcode === B.OP_VERSION
  );
}
