/** The library "cjson": JSON as lua-cjson 2.1.0 writes and reads it, texts of errors included. */
import { ByteBuffer } from './byte-buffer.ts';
import { formatG } from './format-number.ts';
import { JsonParser } from './json-parser.ts';
import {
  LUA_GLOBALSINDEX,
  LUA_TBOOLEAN,
  LUA_TLIGHTUSERDATA,
  LUA_TNIL,
  LUA_TNUMBER,
  LUA_TSTRING,
  LUA_TTABLE,
  type LuaMachine,
  type LuaState,
  upvalueIndex,
} from './machine.ts';

const INT_MAX = 2147483647;
const MAX_PRECISION = 14;
const DEFAULT_DEPTH = 1000;

/** What scripts can set. */
export class JsonOptions {
  sparseConvert = 0;
  sparseRatio = 2;
  sparseSafe = 10;
  encodeMaxDepth = DEFAULT_DEPTH;
  decodeMaxDepth = DEFAULT_DEPTH;
  encodeInvalid = 0;
  decodeInvalid = 1;
  keepBuffer = 1;
  precision = MAX_PRECISION;
}

/** By byte: what a char in a string is written as; null: as it is. */
const ESCAPES: readonly (string | null)[] = Array.from({ length: 256 }, (_, byte) => {
  const named: Readonly<Record<number, string>> = {
    8: '\\b',
    9: '\\t',
    10: '\\n',
    12: '\\f',
    13: '\\r',
    34: '\\"',
    47: '\\/',
    92: '\\\\',
  };
  if (named[byte] !== undefined) return named[byte];
  return byte < 32 || byte === 127 ? `\\u00${byte.toString(16).padStart(2, '0')}` : null;
});

class Encoder {
  private readonly machine: LuaMachine;
  readonly out = new ByteBuffer();
  private options = new JsonOptions();

  constructor(machine: LuaMachine) {
    this.machine = machine;
  }

  /** Writes the value at the top of the stack, which stays there. */
  encode(L: LuaState, options: JsonOptions): void {
    this.options = options;
    this.out.clear();
    this.value(L, 0);
  }

  private value(L: LuaState, depth: number): void {
    const { machine, out } = this;
    const { x } = machine;
    const type = x.lua_type(L, -1);
    switch (type) {
      case LUA_TSTRING:
        this.string(L);
        break;
      case LUA_TNUMBER:
        this.number(L, x.lua_tonumber(L, -1));
        break;
      case LUA_TBOOLEAN:
        out.putText(x.lua_toboolean(L, -1) !== 0 ? 'true' : 'false');
        break;
      case LUA_TTABLE:
        this.table(L, depth + 1);
        break;
      case LUA_TNIL:
        out.putText('null');
        break;
      default:
        if (type === LUA_TLIGHTUSERDATA && x.lua_touserdata(L, -1) === 0) out.putText('null');
        else this.refuse(L, 'type not supported');
    }
  }

  /** Raises an error about the value at the top. */
  private refuse(L: LuaState, reason: string): never {
    const { machine } = this;
    const type = machine.cString(machine.x.lua_typename(L, machine.x.lua_type(L, -1)));
    return machine.raise(L, `Cannot serialise ${type}: ${reason}`);
  }

  private string(L: LuaState): void {
    const { machine, out } = this;
    const at = machine.toBytes(L, -1);
    const { length } = machine;
    const u8 = machine.bytes();
    out.reserve(length * 6 + 2);
    const { bytes } = out;
    let to = out.length;
    bytes[to++] = 34;
    for (let i = at; i < at + length; i++) {
      const byte = u8[i]!;
      const written = ESCAPES[byte]!;
      if (written === null) bytes[to++] = byte;
      else for (let k = 0; k < written.length; k++) bytes[to++] = written.charCodeAt(k);
    }
    bytes[to++] = 34;
    out.length = to;
  }

  private number(L: LuaState, value: number): void {
    if (!Number.isFinite(value)) {
      const mode = this.options.encodeInvalid;
      if (mode === 0) this.refuse(L, 'must not be NaN or Inf');
      if (mode === 2) {
        this.out.putText('null');
        return;
      }
    }
    this.out.putText(this.numberText(value));
  }

  private numberText(value: number): string {
    const { precision } = this.options;
    if (precision === MAX_PRECISION && Number.isInteger(value) && Math.abs(value) < 1e14 && value !== 0) {
      return String(value);
    }
    return formatG(value, precision);
  }

  private table(L: LuaState, depth: number): void {
    const { machine } = this;
    const { x } = machine;
    if (depth > this.options.encodeMaxDepth || x.lua_checkstack(L, 6) === 0) {
      machine.raise(L, `Cannot serialise, excessive nesting (${depth})`);
    }
    const length = this.arrayLength(L);
    if (length > 0) this.array(L, length, depth);
    else this.object(L, depth);
  }

  /** The largest index if the table has only whole positive keys, else -1. */
  private arrayLength(L: LuaState): number {
    const { x } = this.machine;
    let max = 0;
    let items = 0;
    x.lua_pushnil(L);
    while (x.lua_next(L, -2) !== 0) {
      const key = x.lua_type(L, -2) === LUA_TNUMBER ? x.lua_tonumber(L, -2) : 0;
      if (key < 1 || Math.floor(key) !== key) {
        x.lua_settop(L, -3);
        return -1;
      }
      if (key > max) max = key;
      items++;
      x.lua_settop(L, -2);
    }
    const { sparseRatio, sparseSafe, sparseConvert } = this.options;
    if (sparseRatio > 0 && max > items * sparseRatio && max > sparseSafe) {
      if (sparseConvert === 0) this.refuse(L, 'excessively sparse array');
      return -1;
    }
    return max;
  }

  private array(L: LuaState, length: number, depth: number): void {
    const { out } = this;
    const { x } = this.machine;
    out.put(91);
    for (let i = 1; i <= length; i++) {
      if (i > 1) out.put(44);
      x.lua_rawgeti(L, -1, i);
      this.value(L, depth);
      x.lua_settop(L, -2);
    }
    out.put(93);
  }

  private object(L: LuaState, depth: number): void {
    const { out } = this;
    const { x } = this.machine;
    out.put(123);
    let first = true;
    x.lua_pushnil(L);
    while (x.lua_next(L, -2) !== 0) {
      if (!first) out.put(44);
      first = false;
      const type = x.lua_type(L, -2);
      if (type === LUA_TNUMBER) {
        out.put(34);
        this.number(L, x.lua_tonumber(L, -2));
        out.put(34);
      } else if (type === LUA_TSTRING) {
        x.lua_pushvalue(L, -2);
        this.string(L);
        x.lua_settop(L, -2);
      } else {
        x.lua_settop(L, -2);
        this.refuse(L, 'table key must be a number or string');
      }
      out.put(58);
      this.value(L, depth);
      x.lua_settop(L, -2);
    }
    out.put(125);
  }
}

const BOOLEAN_WORDS = ['off', 'on'];

/** The functions of the library. They belong to options, whose number is their upvalue: cjson.new() gives a set of its own. */
export class CjsonLibrary {
  private readonly machine: LuaMachine;
  private readonly encoder: Encoder;
  private readonly parser: JsonParser;
  private readonly options: JsonOptions[] = [];
  private readonly functions: Readonly<Record<string, number>>;

  constructor(machine: LuaMachine) {
    this.machine = machine;
    this.encoder = new Encoder(machine);
    this.parser = new JsonParser(machine);
    const { x } = machine;
    const add = (fn: (L: LuaState, options: JsonOptions) => number): number =>
      machine.addFunction((L) => fn(L, this.options[x.lua_tonumber(L, upvalueIndex(1))]!));
    this.functions = {
      encode: add((L, options) => this.encode(L, options)),
      decode: add((L, options) => this.decode(L, options)),
      encode_sparse_array: add((L, options) => {
        this.arguments(L, 3);
        options.sparseConvert = this.word(L, 1, options.sparseConvert, BOOLEAN_WORDS);
        options.sparseRatio = this.integer(L, 2, options.sparseRatio, 0, INT_MAX);
        options.sparseSafe = this.integer(L, 3, options.sparseSafe, 0, INT_MAX);
        return 3;
      }),
      encode_max_depth: add((L, options) => {
        this.arguments(L, 1);
        options.encodeMaxDepth = this.integer(L, 1, options.encodeMaxDepth, 1, INT_MAX);
        return 1;
      }),
      decode_max_depth: add((L, options) => {
        this.arguments(L, 1);
        options.decodeMaxDepth = this.integer(L, 1, options.decodeMaxDepth, 1, INT_MAX);
        return 1;
      }),
      encode_number_precision: add((L, options) => {
        this.arguments(L, 1);
        options.precision = this.integer(L, 1, options.precision, 1, MAX_PRECISION);
        return 1;
      }),
      encode_keep_buffer: add((L, options) => {
        this.arguments(L, 1);
        options.keepBuffer = this.word(L, 1, options.keepBuffer, BOOLEAN_WORDS);
        return 1;
      }),
      encode_invalid_numbers: add((L, options) => {
        this.arguments(L, 1);
        options.encodeInvalid = this.word(L, 1, options.encodeInvalid, ['off', 'on', 'null']);
        return 1;
      }),
      decode_invalid_numbers: add((L, options) => {
        this.arguments(L, 1);
        options.decodeInvalid = this.word(L, 1, options.decodeInvalid, BOOLEAN_WORDS);
        return 1;
      }),
      new: add((L) => {
        this.pushTable(L);
        return 1;
      }),
    };
  }

  /** Pushes a table of the library with options of its own. */
  pushTable(L: LuaState): void {
    const { machine } = this;
    const { x } = machine;
    this.options.push(new JsonOptions());
    x.lua_createtable(L, 0, 16);
    for (const [name, fn] of Object.entries(this.functions)) {
      x.lua_pushnumber(L, this.options.length - 1);
      x.lua_pushcclosure(L, fn, 1);
      x.lua_setfield(L, -2, machine.text(name));
    }
    x.lua_pushlightuserdata(L, 0);
    x.lua_setfield(L, -2, machine.text('null'));
    machine.pushLatin1(L, 'cjson');
    x.lua_setfield(L, -2, machine.text('_NAME'));
    machine.pushLatin1(L, '2.1.0');
    x.lua_setfield(L, -2, machine.text('_VERSION'));
  }

  private encode(L: LuaState, options: JsonOptions): number {
    const { machine, encoder } = this;
    if (machine.x.lua_gettop(L) !== 1) machine.x.luaL_argerror(L, 1, machine.text('expected 1 argument'));
    encoder.encode(L, options);
    machine.pushBytes(L, encoder.out.bytes, 0, encoder.out.length);
    return 1;
  }

  private decode(L: LuaState, options: JsonOptions): number {
    const { machine } = this;
    const { x } = machine;
    if (x.lua_gettop(L) !== 1) x.luaL_argerror(L, 1, machine.text('expected 1 argument'));
    const at = x.luaL_checklstring(L, 1, machine.lengthAt);
    const length = machine.view().getUint32(machine.lengthAt, true);
    this.parser.parse(L, machine.bytes().slice(at, at + length), options.decodeMaxDepth, options.decodeInvalid !== 0);
    return 1;
  }

  /** At most so many arguments; missing ones become nil. */
  private arguments(L: LuaState, most: number): void {
    const { x } = this.machine;
    if (x.lua_gettop(L) > most) x.luaL_argerror(L, most + 1, this.machine.text('found too many arguments'));
    x.lua_settop(L, most);
  }

  /** Reads and pushes a whole number. */
  private integer(L: LuaState, i: number, present: number, min: number, max: number): number {
    const { machine } = this;
    const { x } = machine;
    let value = present;
    if (x.lua_type(L, i) !== LUA_TNIL) {
      value = x.luaL_checkinteger(L, i);
      if (value < min || value > max) {
        x.luaL_argerror(L, 1, machine.passingText(`expected integer between ${min} and ${max}`));
      }
    }
    x.lua_pushnumber(L, value);
    return value;
  }

  /** Reads and pushes one of some words, or a boolean for the first two. */
  private word(L: LuaState, i: number, present: number, words: readonly string[]): number {
    const { machine } = this;
    const { x } = machine;
    let value = present;
    const type = x.lua_type(L, i);
    if (type === LUA_TBOOLEAN) {
      value = x.lua_toboolean(L, i);
    } else if (type !== LUA_TNIL) {
      const text = machine.cString(x.luaL_checklstring(L, i, machine.lengthAt));
      value = words.indexOf(text);
      if (value < 0) {
        x.luaL_argerror(L, i, machine.passingText(`invalid option '${text}'`));
      }
    }
    if (value <= 1) x.lua_pushboolean(L, value);
    else machine.pushLatin1(L, words[value]!);
    return value;
  }
}

/** Makes the global "cjson". */
export function addCjson(machine: LuaMachine, library: CjsonLibrary, L: LuaState): void {
  library.pushTable(L);
  machine.x.lua_setfield(L, LUA_GLOBALSINDEX, machine.text('cjson'));
}
