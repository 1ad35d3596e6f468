/** Replies as Lua values, and Lua values as replies. */
import type { Client } from '../redis/client.ts';
import {
  addReplyArrayLen,
  addReplyBigNumber,
  addReplyBool,
  addReplyBulkBytes,
  addReplyBulkString,
  addReplyDouble,
  addReplyError,
  addReplyLong,
  addReplyMapLen,
  addReplyNull,
  addReplyProto,
  addReplySetLen,
  addReplyStatus,
  addReplyVerbatim,
} from '../redis/protocol/reply.ts';
import { formatG } from './format-number.ts';
import {
  LUA_TBOOLEAN,
  LUA_TNIL,
  LUA_TNUMBER,
  LUA_TSTRING,
  LUA_TTABLE,
  type LuaMachine,
  type LuaState,
} from './machine.ts';

const CR = 13;
const DOUBLE_DIGITS = 17;
const INT64_MAX = 9223372036854775807n;
const INT64_MIN = -9223372036854775808n;

/** Reads the replies of commands, which lie in the arena. */
export class ReplyReader {
  private readonly machine: LuaMachine;
  private u8: Uint8Array = new Uint8Array(0);
  private at = 0;

  constructor(machine: LuaMachine) {
    this.machine = machine;
  }

  /** Pushes the reply at an offset. @returns whether it is an error */
  push(L: LuaState, u8: Uint8Array, offset: number): boolean {
    this.u8 = u8;
    this.at = offset;
    const error = u8[offset] === 45;
    this.value(L);
    return error;
  }

  private line(): string {
    const u8 = this.u8;
    let text = '';
    let at = this.at;
    while (u8[at] !== CR) text += String.fromCharCode(u8[at++]);
    this.at = at + 2;
    return text;
  }

  /** An integer up to the line's end, as a double. */
  private integer(): number {
    const u8 = this.u8;
    let at = this.at;
    const negative = u8[at] === 45;
    if (negative) at++;
    const from = at;
    let value = 0;
    while (u8[at] !== CR) value = value * 10 + u8[at++] - 48;
    // Digits add up without rounding as far as 2^53 reaches.
    if (at - from > 15) value = Number(this.textBetween(from, at));
    this.at = at + 2;
    return negative ? -value : value;
  }

  private textBetween(from: number, to: number): string {
    let text = '';
    for (let i = from; i < to; i++) text += String.fromCharCode(this.u8[i]);
    return text;
  }

  private field(L: LuaState, name: string): void {
    this.machine.x.lua_setfield(L, -2, this.machine.text(name));
  }

  private value(L: LuaState): void {
    const { x } = this.machine;
    switch (this.u8[this.at++]) {
      case 58: // :
        x.lua_pushnumber(L, this.integer());
        break;
      case 36: {
        const length = this.integer();
        if (length < 0) {
          x.lua_pushboolean(L, 0);
          break;
        }
        this.machine.pushBytes(L, this.u8, this.at, length);
        this.at += length + 2;
        break;
      }
      case 43: // +
        x.lua_createtable(L, 0, 1);
        this.machine.pushLatin1(L, this.line());
        this.field(L, 'ok');
        break;
      case 45: // -
        pushErrorTable(this.machine, L, `-${this.line()}`, true);
        break;
      case 42: // *
        this.array(L);
        break;
      case 37: // %
        this.map(L);
        break;
      case 126: // ~
        this.set(L);
        break;
      case 95: // _
        this.at += 2;
        x.lua_pushnil(L);
        break;
      case 35: // #
        x.lua_pushboolean(L, this.u8[this.at] === 116 ? 1 : 0);
        this.at += 3;
        break;
      case 44: // ,
        x.lua_createtable(L, 0, 1);
        x.lua_pushnumber(L, parseDouble(this.line()));
        this.field(L, 'double');
        break;
      case 40: // (
        x.lua_createtable(L, 0, 1);
        this.machine.pushLatin1(L, this.line());
        this.field(L, 'big_number');
        break;
      case 124: // |: what is told beside the reply that follows; scripts do not get it
        this.pass(L);
        this.value(L);
        break;
      case 61: // =
        this.verbatim(L);
        break;
      default:
        throw new Error('Cannot give a reply to a script: its type is unknown');
    }
  }

  /** Reads the pairs of an attribute and drops them. */
  private pass(L: LuaState): void {
    const { x } = this.machine;
    this.map(L);
    x.lua_settop(L, -2);
  }

  private array(L: LuaState): void {
    const { x } = this.machine;
    const count = this.integer();
    if (count < 0) {
      x.lua_pushboolean(L, 0);
      return;
    }
    x.lua_checkstack(L, 4);
    x.lua_createtable(L, count, 0);
    for (let i = 1; i <= count; i++) {
      this.value(L);
      x.lua_rawseti(L, -2, i);
    }
  }

  private map(L: LuaState): void {
    const { x } = this.machine;
    const count = this.integer();
    x.lua_checkstack(L, 5);
    x.lua_createtable(L, 0, 1);
    x.lua_createtable(L, 0, count);
    for (let i = 0; i < count; i++) {
      this.value(L);
      this.value(L);
      x.lua_rawset(L, -3);
    }
    this.field(L, 'map');
  }

  private set(L: LuaState): void {
    const { x } = this.machine;
    const count = this.integer();
    x.lua_checkstack(L, 5);
    x.lua_createtable(L, 0, 1);
    x.lua_createtable(L, 0, count);
    for (let i = 0; i < count; i++) {
      this.value(L);
      x.lua_pushboolean(L, 1);
      x.lua_rawset(L, -3);
    }
    this.field(L, 'set');
  }

  private verbatim(L: LuaState): void {
    const { x } = this.machine;
    const length = this.integer();
    x.lua_createtable(L, 0, 1);
    x.lua_createtable(L, 0, 2);
    this.machine.pushBytes(L, this.u8, this.at + 4, length - 4);
    this.field(L, 'string');
    this.machine.pushBytes(L, this.u8, this.at, 3);
    this.field(L, 'format');
    this.field(L, 'verbatim_string');
    this.at += length + 2;
  }
}

function parseDouble(text: string): number {
  if (text === 'inf') return Number.POSITIVE_INFINITY;
  if (text === '-inf') return Number.NEGATIVE_INFINITY;
  return Number(text);
}

/**
 * Pushes { err = "CODE text" }, as redis.pcall gives errors.
 * @param text "-CODE text", or a text that gets the code ERR
 * @param counted the error has been counted already
 */
export function pushErrorTable(machine: LuaMachine, L: LuaState, text: string, counted = false): void {
  const { x } = machine;
  let code = 'ERR';
  let words = text;
  if (text.startsWith('-')) {
    const blank = text.indexOf(' ');
    if (blank < 0) {
      words = text.slice(1);
    } else {
      code = text.slice(1, blank);
      words = text.slice(blank + 1);
    }
  }
  x.lua_checkstack(L, 4);
  x.lua_createtable(L, 0, 2);
  machine.pushLatin1(L, `${code} ${words.replace(/^[\r\n]+|[\r\n]+$/g, '')}`);
  x.lua_setfield(L, -2, machine.text('err'));
  if (!counted) return;
  x.lua_pushboolean(L, 1);
  x.lua_setfield(L, -2, machine.text('ignore_error_stats_update'));
}

/** Replies an error that begins with its code, counting it unless it has been. */
export function replyError(c: Client, text: string, counted: boolean): void {
  if (counted) addReplyProto(c, `-${text.replace(/[\r\n]+$/, '').replace(/[\r\n]/g, ' ')}\r\n`);
  else addReplyError(c, `-${text}`);
}

const ARRAY = 0;
const MAP = 1;
const SET = 2;
/**
 * What has to be free on the stack for one value. It is one less than a value takes at most, as the real globals lie at the bottom of our
 * stacks and the original gives up at the same depth without them; Lua itself keeps five slots in reserve.
 */
const STACK_SLOTS = 3;

/** A table whose values are being replied. */
interface OpenTable {
  readonly kind: number;
  readonly count: number;
  /** Values of an array that have been begun. */
  at: number;
  /** A map's key has been replied; its value is at the top. */
  valueWaits: boolean;
}

/** Writes the value on top of a stack as a reply. */
export class ValueWriter {
  private readonly machine: LuaMachine;

  constructor(machine: LuaMachine) {
    this.machine = machine;
  }

  /** Replies the value at the top and pops it. @param scriptResp the protocol version that the script chose */
  reply(c: Client, L: LuaState, scriptResp: number): void {
    // Tables may lie in each other thousands of levels deep, which the stack of this language could not follow.
    const open: OpenTable[] = [];
    let begun = this.begin(c, L, scriptResp);
    for (;;) {
      if (begun !== null) open.push(begun);
      let innermost = open.at(-1);
      while (innermost !== undefined && !this.advance(L, innermost)) {
        open.pop();
        innermost = open.at(-1);
      }
      if (innermost === undefined) return;
      begun = this.begin(c, L, scriptResp);
    }
  }

  /** Replies the value at the top and pops it, or, when it holds others, replies their number and leaves it there. */
  private begin(c: Client, L: LuaState, scriptResp: number): OpenTable | null {
    const { machine } = this;
    const { x } = machine;
    if (x.lua_checkstack(L, STACK_SLOTS) === 0) {
      addReplyError(c, 'reached lua stack limit');
      x.lua_settop(L, -2);
      return null;
    }
    let begun: OpenTable | null = null;
    switch (x.lua_type(L, -1)) {
      case LUA_TSTRING: {
        const at = machine.toBytes(L, -1);
        addReplyBulkBytes(c, machine.bytes(), at, machine.length);
        break;
      }
      case LUA_TBOOLEAN: {
        const value = x.lua_toboolean(L, -1) !== 0;
        if (scriptResp === 3) addReplyBool(c, value);
        else if (value) addReplyLong(c, 1);
        else addReplyNull(c);
        break;
      }
      case LUA_TNUMBER:
        this.number(c, x.lua_tonumber(L, -1));
        break;
      case LUA_TTABLE:
        begun = this.table(c, L);
        break;
      default:
        addReplyNull(c);
    }
    if (begun === null) x.lua_settop(L, -2);
    return begun;
  }

  /** Pushes the next value of an open table; where there is none the table is popped. @returns whether there is one */
  private advance(L: LuaState, table: OpenTable): boolean {
    const { x } = this.machine;
    if (table.kind === ARRAY) {
      if (table.at < table.count) {
        x.lua_rawgeti(L, -1, ++table.at);
        return true;
      }
      x.lua_settop(L, -2);
      return false;
    }
    if (table.valueWaits) {
      table.valueWaits = false;
      return true;
    }
    // The fields lie in a table within the table.
    if (x.lua_next(L, -2) === 0) {
      x.lua_settop(L, -3);
      return false;
    }
    if (table.kind === SET) {
      this.pop(L);
      x.lua_pushvalue(L, -1);
    } else {
      x.lua_pushvalue(L, -2);
      table.valueWaits = true;
    }
    return true;
  }

  /** A number loses its fraction, as a C cast does it: what does not fit into 64 bits becomes the smallest integer. */
  private number(c: Client, value: number): void {
    const whole = Math.trunc(value);
    if (Number.isSafeInteger(whole)) {
      addReplyLong(c, whole === 0 ? 0 : whole);
      return;
    }
    const big = Number.isFinite(whole) ? BigInt(whole) : INT64_MIN;
    addReplyProto(c, `:${big > INT64_MAX || big < INT64_MIN ? INT64_MIN : big}\r\n`);
  }

  /** Pushes field `name` of the table at the top without metamethods. @returns whether it is of the type; else it is popped */
  private has(L: LuaState, name: string, type: number): boolean {
    const { x } = this.machine;
    x.lua_pushstring(L, this.machine.text(name));
    x.lua_rawget(L, -2);
    if (x.lua_type(L, -1) === type) return true;
    x.lua_settop(L, -2);
    return false;
  }

  private pop(L: LuaState): void {
    this.machine.x.lua_settop(L, -2);
  }

  private table(c: Client, L: LuaState): OpenTable | null {
    const { machine } = this;
    const { x } = machine;
    if (this.has(L, 'err', LUA_TSTRING)) {
      const text = machine.toLatin1(L, -1)!;
      this.pop(L);
      x.lua_getfield(L, -1, machine.text('ignore_error_stats_update'));
      const counted = x.lua_toboolean(L, -1) !== 0;
      this.pop(L);
      replyError(c, text, counted);
    } else if (this.has(L, 'ok', LUA_TSTRING)) {
      const text = machine.toLatin1(L, -1)!;
      this.pop(L);
      addReplyStatus(c, cString(text).replace(/[\r\n]/g, ' '));
    } else if (this.has(L, 'double', LUA_TNUMBER)) {
      const value = x.lua_tonumber(L, -1);
      this.pop(L);
      const text = formatG(value, DOUBLE_DIGITS);
      if (!Number.isNaN(value)) addReplyDouble(c, value, text);
      else if (c.resp === 2) addReplyBulkString(c, text);
      else addReplyProto(c, `,${text}\r\n`);
    } else if (this.has(L, 'map', LUA_TTABLE)) {
      return this.fields(c, L, MAP);
    } else if (this.has(L, 'set', LUA_TTABLE)) {
      return this.fields(c, L, SET);
    } else if (this.has(L, 'big_number', LUA_TSTRING)) {
      const text = machine.toLatin1(L, -1)!;
      this.pop(L);
      addReplyBigNumber(c, cString(text).replace(/[\r\n]/g, ' '));
    } else if (this.has(L, 'verbatim_string', LUA_TTABLE)) {
      if (!this.verbatim(c, L)) return this.array(c, L);
    } else {
      return this.array(c, L);
    }
    return null;
  }

  private verbatim(c: Client, L: LuaState): boolean {
    const { machine } = this;
    let done = false;
    if (this.has(L, 'format', LUA_TSTRING)) {
      const format = machine.toLatin1(L, -1)!;
      this.pop(L);
      if (this.has(L, 'string', LUA_TSTRING)) {
        const text = machine.toLatin1(L, -1)!;
        this.pop(L);
        addReplyVerbatim(c, text, format.slice(0, 3).padEnd(3));
        done = true;
      }
    }
    this.pop(L);
    return done;
  }

  private array(c: Client, L: LuaState): OpenTable {
    const { x } = this.machine;
    let count = 0;
    for (;;) {
      x.lua_rawgeti(L, -1, count + 1);
      const nil = x.lua_type(L, -1) === LUA_TNIL;
      this.pop(L);
      if (nil) break;
      count++;
    }
    addReplyArrayLen(c, count);
    return { kind: ARRAY, count, at: 0, valueWaits: false };
  }

  /** Number of fields of the table at the top. */
  private count(L: LuaState): number {
    const { x } = this.machine;
    let count = 0;
    x.lua_pushnil(L);
    while (x.lua_next(L, -2) !== 0) {
      count++;
      this.pop(L);
    }
    return count;
  }

  private fields(c: Client, L: LuaState, kind: number): OpenTable {
    const count = this.count(L);
    if (kind === MAP) addReplyMapLen(c, count);
    else addReplySetLen(c, count);
    this.machine.x.lua_pushnil(L);
    return { kind, count, at: 0, valueWaits: false };
  }
}

/** Texts that the original handles as C strings end at a NUL. */
function cString(text: string): string {
  const nul = text.indexOf('\0');
  return nul < 0 ? text : text.slice(0, nul);
}
