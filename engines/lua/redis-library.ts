/** The table "redis" of scripts and functions. */

import { checkRequest } from '../redis/acl/check.ts';
import { lookupCommand } from '../redis/dispatch.ts';
import { scriptFlag } from '../redis/scripting/flags.ts';
import type { LibraryFunction } from '../redis/scripting/port.ts';
import { hex } from '../redis/scripting/script-cache.ts';
import type { Scripting } from '../redis/scripting/scripting.ts';
import { sha1 } from '../redis/sha1.ts';
import { ArenaExhausted } from '../redis/structures/heap.ts';
import { argumentText } from './format-number.ts';
import { LUA_REGISTRYINDEX, LUA_TNUMBER, LUA_TSTRING, LUA_TTABLE, type LuaMachine, type LuaState } from './machine.ts';
import type { LuaLibrary } from './sandbox.ts';
import { pushErrorTable, ReplyReader } from './values.ts';

const LUA_TFUNCTION = 6;
/** Copies shorter than this go byte by byte. */
const SHORT_COPY_BYTES = 48;
const ARGUMENTS_MUST = 'Lua redis lib command arguments must be strings or integers';
const NO_ARGUMENTS = 'Please specify at least one argument for this redis lib call';
const NAME_RULE =
  'Library names can only contain letters, numbers, or underscores(_) and must be at least one character long';
const REPL_AOF = 1;
const REPL_ALL = 3;
const LOG_CONSTANTS = { LOG_DEBUG: 0, LOG_VERBOSE: 1, LOG_NOTICE: 2, LOG_WARNING: 3 };
const REPL_CONSTANTS = { REPL_NONE: 0, REPL_AOF, REPL_SLAVE: 2, REPL_REPLICA: 2, REPL_ALL };
const VERSION = '7.0.15';
const VERSION_NUMBER = 0x0007000f;

export class RedisLibrary {
  readonly evalApi: LuaLibrary;
  readonly functionApi: LuaLibrary;
  readonly loadApi: LuaLibrary;
  private readonly machine: LuaMachine;
  private readonly scripting: Scripting;
  private readonly reader: ReplyReader;
  /** While a library is loaded: what it has registered, and which names are allowed. */
  registered: LibraryFunction[] = [];
  registers: ((name: string) => boolean) | null = null;

  constructor(machine: LuaMachine, scripting: Scripting) {
    this.machine = machine;
    this.scripting = scripting;
    this.reader = new ReplyReader(machine);
    const add = (fn: (L: LuaState) => number): number => machine.addFunction(fn);
    const log = add((L) => this.log(L));
    const shared = {
      call: add((L) => this.command(L, true)),
      pcall: add((L) => this.command(L, false)),
      log,
      setresp: add((L) => this.setResp(L)),
      sha1hex: add((L) => this.sha1hex(L)),
      error_reply: add((L) => this.errorReply(L)),
      status_reply: add((L) => this.statusReply(L)),
      set_repl: add((L) => this.setRepl(L)),
      acl_check_cmd: add((L) => this.aclCheck(L)),
    };
    const nothing = add(() => 0);
    const always = add((L) => {
      machine.x.lua_pushboolean(L, 1);
      return 1;
    });
    const never = add((L) => {
      machine.x.lua_pushboolean(L, 0);
      return 1;
    });
    this.functionApi = shared;
    this.evalApi = { ...shared, replicate_commands: always, breakpoint: never, debug: nothing };
    this.loadApi = { register_function: add((L) => this.register(L)), log };
  }

  /** Adds constants to the global "redis". */
  addConstants(L: LuaState, withReplication: boolean): void {
    const { machine } = this;
    machine.x.lua_getfield(L, -10002, machine.text('redis'));
    this.addLogConstants(L);
    if (withReplication) this.addNumbers(L, REPL_CONSTANTS);
    machine.x.lua_settop(L, -2);
  }

  /** Adds the levels of redis.log and the version to the table at the top. */
  addLogConstants(L: LuaState): void {
    const { machine } = this;
    this.addNumbers(L, LOG_CONSTANTS);
    this.addNumbers(L, { REDIS_VERSION_NUM: VERSION_NUMBER });
    machine.pushLatin1(L, VERSION);
    machine.x.lua_setfield(L, -2, machine.text('REDIS_VERSION'));
  }

  private addNumbers(L: LuaState, numbers: Readonly<Record<string, number>>): void {
    const { x } = this.machine;
    for (const [name, value] of Object.entries(numbers)) {
      x.lua_pushnumber(L, value);
      x.lua_setfield(L, -2, this.machine.text(name));
    }
  }

  /** Raises the error table at the top. */
  private fail(L: LuaState, text: string): number {
    pushErrorTable(this.machine, L, text);
    return this.machine.x.lua_error(L);
  }

  /** redis.call (which raises errors) and redis.pcall (which returns them). */
  private command(L: LuaState, raises: boolean): number {
    const { scripting, machine } = this;
    const { x } = machine;
    let failed = true;
    if (scripting.caller === null) {
      pushErrorTable(machine, L, 'redis.call/pcall can only be called inside a script invocation');
      return x.lua_error(L);
    }
    try {
      const wrong = this.takeArguments(L);
      if (wrong !== null) {
        pushErrorTable(machine, L, wrong);
      } else {
        const refusal = scripting.call();
        if (refusal !== null) pushErrorTable(machine, L, refusal, true);
        else failed = this.reader.push(L, scripting.core.heap.u8, scripting.capture.start);
      }
    } catch (error) {
      if (!(error instanceof ArenaExhausted)) throw error;
      pushErrorTable(machine, L, '-OOM command not allowed: the arena is exhausted');
    }
    return raises && failed ? x.lua_error(L) : 1;
  }

  /** Copies the arguments on the stack into the arena. @returns null, or what is wrong with them */
  private takeArguments(L: LuaState): string | null {
    const { machine, scripting } = this;
    const { x } = machine;
    const count = x.lua_gettop(L);
    if (count === 0) return NO_ARGUMENTS;
    scripting.beginArguments(count);
    const target = scripting.core.heap.u8;
    for (let i = 1; i <= count; i++) {
      const type = x.lua_type(L, i);
      if (type === LUA_TSTRING) {
        const from = machine.toBytes(L, i);
        const { length } = machine;
        const at = scripting.addArgument(length);
        const u8 = machine.bytes();
        if (length < SHORT_COPY_BYTES) for (let k = 0; k < length; k++) target[at + k] = u8[from + k];
        else target.set(u8.subarray(from, from + length), at);
      } else if (type === LUA_TNUMBER) {
        const text = argumentText(x.lua_tonumber(L, i));
        scripting.core.heap.putLatin1(text, scripting.addArgument(text.length));
      } else {
        return ARGUMENTS_MUST;
      }
    }
    return null;
  }

  private log(L: LuaState): number {
    const { machine, scripting } = this;
    const { x } = machine;
    const count = x.lua_gettop(L);
    if (count < 2) return this.fail(L, 'redis.log() requires two arguments or more.');
    if (x.lua_isnumber(L, 1) === 0) return this.fail(L, 'First argument must be a number (log level).');
    const level = x.lua_tonumber(L, 1);
    if (level < LOG_CONSTANTS.LOG_DEBUG || level > LOG_CONSTANTS.LOG_WARNING) {
      return this.fail(L, 'Invalid debug level.');
    }
    const words: string[] = [];
    for (let i = 2; i <= count; i++) {
      const text = machine.toLatin1(L, i);
      if (text !== null) words.push(text);
    }
    scripting.core.log(Math.trunc(level), words.join(' '));
    return 0;
  }

  private setResp(L: LuaState): number {
    const { x } = this.machine;
    if (x.lua_gettop(L) !== 1) return this.fail(L, 'redis.setresp() requires one argument.');
    const version = x.lua_tonumber(L, 1);
    if (version !== 2 && version !== 3) return this.fail(L, 'RESP version must be 2 or 3.');
    this.scripting.client.resp = version;
    return 0;
  }

  private sha1hex(L: LuaState): number {
    const { machine } = this;
    if (machine.x.lua_gettop(L) !== 1) return this.fail(L, 'wrong number of arguments');
    const at = machine.toBytes(L, 1);
    machine.pushLatin1(L, hex(sha1(machine.bytes(), at, machine.length)));
    return 1;
  }

  private errorReply(L: LuaState): number {
    const { machine } = this;
    const { x } = machine;
    if (x.lua_gettop(L) !== 1 || x.lua_type(L, 1) !== LUA_TSTRING) {
      pushErrorTable(machine, L, 'wrong number or type of arguments');
      return 1;
    }
    const text = machine.toLatin1(L, 1)!;
    pushErrorTable(machine, L, text.startsWith('-') ? text : `-${text}`);
    return 1;
  }

  private statusReply(L: LuaState): number {
    const { machine } = this;
    const { x } = machine;
    if (x.lua_gettop(L) !== 1 || x.lua_type(L, 1) !== LUA_TSTRING) {
      pushErrorTable(machine, L, 'wrong number or type of arguments');
      return 1;
    }
    x.lua_createtable(L, 0, 1);
    x.lua_pushvalue(L, 1);
    x.lua_setfield(L, -2, machine.text('ok'));
    return 1;
  }

  private setRepl(L: LuaState): number {
    const { x } = this.machine;
    if (x.lua_gettop(L) !== 1) return this.fail(L, 'redis.set_repl() requires two arguments.');
    const flags = x.lua_tonumber(L, 1);
    if ((flags & ~REPL_ALL) !== 0) {
      return this.fail(L, 'Invalid replication flags. Use REPL_AOF, REPL_REPLICA, REPL_ALL or REPL_NONE.');
    }
    this.scripting.logged = (flags & REPL_AOF) !== 0;
    return 0;
  }

  private aclCheck(L: LuaState): number {
    const { machine, scripting } = this;
    const { x } = machine;
    if (scripting.caller === null) {
      return this.fail(L, 'redis.acl_check_cmd can only be called inside a script invocation');
    }
    const wrong = this.takeArguments(L);
    if (wrong !== null) return this.fail(L, wrong);
    const { client } = scripting;
    const command = lookupCommand(scripting.core, client);
    if (command === null) return this.fail(L, 'Invalid command passed to redis.acl_check_cmd()');
    const { user } = client;
    const allowed = user === null || user.unrestricted || checkRequest(user, client, command, 0, client.argc) === 0;
    x.lua_pushboolean(L, allowed ? 1 : 0);
    return 1;
  }

  private register(L: LuaState): number {
    const { machine } = this;
    const { x } = machine;
    const count = x.lua_gettop(L);
    if (this.registers === null) {
      return this.fail(L, 'redis.register_function can only be called on FUNCTION LOAD command');
    }
    if (count < 1 || count > 2) return this.fail(L, 'wrong number of arguments to redis.register_function');
    let name: string | null;
    let description: string | null = null;
    let flags = 0;
    if (count === 1) {
      if (x.lua_type(L, 1) !== LUA_TTABLE) {
        return this.fail(
          L,
          'calling redis.register_function with a single argument is only applicable to Lua table (representing named arguments).',
        );
      }
      const named = this.namedArguments(L);
      if (typeof named === 'string') return this.fail(L, named);
      name = named.name;
      description = named.description;
      flags = named.flags;
    } else {
      name = machine.toLatin1(L, 1);
      if (name === null) return this.fail(L, 'first argument to redis.register_function must be a string');
      if (x.lua_type(L, 2) !== LUA_TFUNCTION) {
        return this.fail(L, 'second argument to redis.register_function must be a function');
      }
    }
    // The callback lies at index 2.
    if (!this.registers(name)) return this.fail(L, NAME_RULE);
    if (this.registered.some((one) => one.name === name)) {
      return this.fail(L, 'Function already exists in the library');
    }
    x.lua_settop(L, 2);
    this.registered.push({ name, description, flags, handle: x.luaL_ref(L, LUA_REGISTRYINDEX) });
    return 0;
  }

  /** Reads the table at index 1 and leaves the callback at index 2. @returns an error's text if something is wrong */
  private namedArguments(L: LuaState): { name: string; description: string | null; flags: number } | string {
    const { machine } = this;
    const { x } = machine;
    let name: string | null = null;
    let description: string | null = null;
    let flags = 0;
    let callback = false;
    // Index 2 is kept for the callback.
    x.lua_pushnil(L);
    x.lua_pushnil(L);
    while (x.lua_next(L, 1) !== 0) {
      if (x.lua_isstring(L, -2) === 0) return 'named argument key given to redis.register_function is not a string';
      x.lua_pushvalue(L, -2);
      const key = machine.toLatin1(L, -1)!;
      x.lua_settop(L, -2);
      if (key === 'function_name') {
        name = machine.toLatin1(L, -1);
        if (name === null) return 'function_name argument given to redis.register_function must be a string';
      } else if (key === 'description') {
        description = machine.toLatin1(L, -1);
        if (description === null) return 'description argument given to redis.register_function must be a string';
      } else if (key === 'callback') {
        if (x.lua_type(L, -1) !== LUA_TFUNCTION) {
          return 'callback argument given to redis.register_function must be a function';
        }
        x.lua_pushvalue(L, -1);
        x.lua_replace(L, 2);
        callback = true;
      } else if (key === 'flags') {
        const bits = this.readFlags(L);
        if (typeof bits === 'string') return bits;
        flags = bits;
      } else {
        return 'unknown argument given to redis.register_function';
      }
      x.lua_settop(L, -2);
    }
    if (name === null) return 'redis.register_function must get a function name argument';
    if (!callback) return 'redis.register_function must get a callback argument';
    return { name, description, flags };
  }

  /** Reads the list of flags at the top. */
  private readFlags(L: LuaState): number | string {
    const { machine } = this;
    const { x } = machine;
    if (x.lua_type(L, -1) !== LUA_TTABLE) {
      return 'flags argument to redis.register_function must be a table representing function flags';
    }
    let flags = 0;
    for (let i = 1; ; i++) {
      x.lua_rawgeti(L, -1, i);
      if (x.lua_type(L, -1) === 0) {
        x.lua_settop(L, -2);
        return flags;
      }
      const word = machine.toLatin1(L, -1);
      x.lua_settop(L, -2);
      const bit = word === null ? 0 : scriptFlag(word);
      if (bit === 0) return 'unknown flag given';
      flags |= bit;
    }
  }
}
