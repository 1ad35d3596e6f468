/** Scripts and functions on Lua 5.1: the implementation of the core's ScriptInterpreter. */
import type { Client } from '../redis/client.ts';
import { addReplyError } from '../redis/protocol/reply.ts';
import { isFunctionName } from '../redis/scripting/functions.ts';
import type { LibraryFunction, ScriptInterpreter } from '../redis/scripting/port.ts';
import type { Scripting } from '../redis/scripting/scripting.ts';
import { bitLibrary } from './bit.ts';
import { addCjson, CjsonLibrary } from './cjson.ts';
import { addCmsgpack, cmsgpackLibrary } from './cmsgpack.ts';
import { Drand48 } from './drand48.ts';
import {
  LUA_GCSTEP,
  LUA_GLOBALSINDEX,
  LUA_MASKCOUNT,
  LUA_MASKLINE,
  LUA_MULTRET,
  LUA_REGISTRYINDEX,
  LUA_TNONE,
  LUA_TTABLE,
  LuaMachine,
  type LuaState,
} from './machine.ts';
import { RedisLibrary } from './redis-library.ts';
import { type LuaLibrary, Sandbox, type World } from './sandbox.ts';
import { structLibrary } from './struct.ts';
import { pushErrorTable, replyError, ValueWriter } from './values.ts';

/** A running script is looked at once in so many instructions of the machine. */
const HOOK_INSTRUCTIONS = 100_000;
/** The collector makes a step after so many scripts. */
const GC_PERIOD = 50;
/** Stack index of the real globals, and of the error handler. */
const GLOBALS = 1;
const HANDLER = 2;
const FIRST_KEY = 3;
/** Offsets in lua_Debug, and its size. */
const DEBUG_WHAT = 12;
const DEBUG_SOURCE = 16;
const DEBUG_LINE = 20;
const DEBUG_BYTES = 128;
const LIBRARIES = ['string', 'math', 'table', 'coroutine', 'redis', 'cjson', 'cmsgpack', 'struct', 'bit'];
/** An error text that is no table is cut here. */
const PLAIN_ERROR_CHARS = 100;

class LuaInterpreter implements ScriptInterpreter {
  readonly name = 'Lua 5.1.5 (WebAssembly)';
  problem = '';
  private readonly scripting: Scripting;
  private machine: LuaMachine;
  private sandbox: Sandbox;
  private redis: RedisLibrary;
  private writer: ValueWriter;
  private libraries: Readonly<Record<string, LuaLibrary>> = {};
  private cjson: CjsonLibrary;
  private pcall = 0;
  private handler = 0;
  private hook = 0;
  private debugRecord = 0;
  private random = new Drand48();
  private mathRandom = 0;
  private mathSeed = 0;
  private evalWorld: World | null = null;
  private functionWorld: World | null = null;
  /** Reference of what libraries see while they register. */
  private loadApi = 0;
  private runs = 0;
  /** When the library being loaded must be ready, in µs of the core's clock; 0: none is. */
  private loadDeadlineUs = 0;

  constructor(scripting: Scripting) {
    this.scripting = scripting;
    this.machine = new LuaMachine();
    const { machine } = this;
    this.sandbox = new Sandbox(machine);
    this.redis = new RedisLibrary(machine, scripting);
    this.writer = new ValueWriter(machine);
    this.cjson = new CjsonLibrary(machine);
    this.libraries = { bit: bitLibrary(machine), struct: structLibrary(machine), cmsgpack: cmsgpackLibrary(machine) };
    this.pcall = machine.addFunction((L) => this.protectedCall(L));
    this.handler = machine.addFunction((L) => this.handleError(L));
    this.hook = machine.addHook((L) => this.onHook(L));
    this.debugRecord = machine.x.malloc(DEBUG_BYTES);
    this.mathRandom = machine.addFunction((L) => this.nextRandom(L));
    this.mathSeed = machine.addFunction((L) => {
      this.random.seed(machine.x.luaL_checknumber(L, 1) | 0);
      return 0;
    });
  }

  /** A state with everything that scripts and functions share. */
  private openWorld(forFunctions: boolean): World {
    const { machine, sandbox } = this;
    const { x } = machine;
    const L = sandbox.open();
    sandbox.setFunction(L, null, 'pcall', this.pcall);
    sandbox.setFunction(L, 'math', 'random', this.mathRandom);
    sandbox.setFunction(L, 'math', 'randomseed', this.mathSeed);
    for (const [name, library] of Object.entries(this.libraries)) sandbox.addLibrary(L, name, library);
    addCmsgpack(machine, L);
    addCjson(machine, this.cjson, L);
    sandbox.addLibrary(L, 'redis', forFunctions ? this.redis.functionApi : this.redis.evalApi);
    this.redis.addConstants(L, true);
    const readOnly: number[] = [];
    sandbox.protectLibraries(L, readOnly, LIBRARIES);
    if (!forFunctions) sandbox.setFunction(L, null, '__redis__err__handler', this.handler);
    const world = sandbox.close(L, readOnly);
    x.lua_pushcclosure(L, this.handler, 0);
    return world;
  }

  private get eval(): World {
    this.evalWorld ??= this.openWorld(false);
    return this.evalWorld;
  }

  private get functions(): World {
    if (this.functionWorld === null) {
      const world = this.openWorld(true);
      this.functionWorld = world;
      const { machine, sandbox } = this;
      const { x } = machine;
      const { L } = world;
      // While it registers, a library sees a table "redis" with a few functions and nothing else.
      x.lua_createtable(L, 0, 1);
      x.lua_createtable(L, 0, 8);
      for (const [name, fn] of Object.entries(this.redis.loadApi)) {
        x.lua_pushcclosure(L, fn, 0);
        x.lua_setfield(L, -2, machine.text(name));
      }
      this.redis.addLogConstants(L);
      sandbox.protect(L, world.readOnly, 0, true);
      x.lua_setfield(L, -2, machine.text('redis'));
      sandbox.makeStrict(L);
      this.loadApi = x.luaL_ref(L, LUA_REGISTRYINDEX);
    }
    return this.functionWorld;
  }

  get evalBytes(): number {
    return this.evalWorld === null ? 0 : this.machine.usedBytes(this.evalWorld.L);
  }

  get functionBytes(): number {
    return this.functionWorld === null ? 0 : this.machine.usedBytes(this.functionWorld.L);
  }

  flushScripts(): void {
    if (this.evalWorld !== null) this.sandbox.destroy(this.evalWorld);
    this.evalWorld = null;
  }

  flushFunctions(): void {
    if (this.functionWorld !== null) this.sandbox.destroy(this.functionWorld);
    this.functionWorld = null;
  }

  compileScript(offset: number, length: number): number {
    const { machine } = this;
    const { x } = machine;
    const { L } = this.eval;
    const heap = this.scripting.core.heap;
    if (!this.compile(L, heap.u8.subarray(offset, offset + length), '@user_script')) return 0;
    return x.luaL_ref(L, LUA_REGISTRYINDEX);
  }

  /** Compiles source and pushes the function. @returns false with the reason in `problem` */
  private compile(L: LuaState, source: Uint8Array, chunkName: string): boolean {
    const { machine } = this;
    const { x } = machine;
    if (source[0] === 27) {
      this.problem = `${chunkName.slice(1)}:1: unexpected symbol near 'char(27)'`;
      return false;
    }
    const at = machine.scratch(source.length + 1);
    machine.bytes().set(source, at);
    const failed = x.luaL_loadbuffer(L, at, source.length, machine.text(chunkName)) !== 0;
    if (failed) {
      this.problem = machine.toLatin1(L, -1) ?? 'unknown';
      x.lua_settop(L, HANDLER);
    }
    machine.trim();
    return !failed;
  }

  releaseFunction(handle: number): void {
    if (this.functionWorld !== null) this.machine.x.luaL_unref(this.functionWorld.L, LUA_REGISTRYINDEX, handle);
  }

  run(c: Client, handle: number, keys: number, asFunction: boolean): void {
    const { machine } = this;
    const { x } = machine;
    const { L } = asFunction ? this.functions : this.eval;
    x.lua_sethook(L, this.hook, LUA_MASKCOUNT, HOOK_INSTRUCTIONS);
    let status: number;
    try {
      if (asFunction) x.lua_rawgeti(L, LUA_REGISTRYINDEX, handle);
      this.pushArguments(L, c, FIRST_KEY, FIRST_KEY + keys);
      if (!asFunction) x.lua_setfield(L, GLOBALS, machine.text('KEYS'));
      this.pushArguments(L, c, FIRST_KEY + keys, c.argc);
      if (!asFunction) {
        x.lua_setfield(L, GLOBALS, machine.text('ARGV'));
        x.lua_rawgeti(L, LUA_REGISTRYINDEX, handle);
      }
      status = x.lua_pcall(L, asFunction ? 2 : 0, 1, HANDLER);
      x.lua_sethook(L, 0, 0, 0);
      if (++this.runs === GC_PERIOD) {
        this.runs = 0;
        x.lua_gc(L, LUA_GCSTEP, GC_PERIOD);
      }
      if (status === 0) this.writer.reply(c, L, this.scripting.client.resp);
      else this.replyFailure(c, L);
    } catch (error) {
      this.recover(c, error);
      return;
    }
    x.lua_settop(L, HANDLER);
    machine.trim();
  }

  private pushArguments(L: LuaState, c: Client, from: number, to: number): void {
    const { machine } = this;
    const { x } = machine;
    const { u8 } = this.scripting.core.heap;
    x.lua_createtable(L, to - from, 0);
    for (let i = from; i < to; i++) {
      machine.pushBytes(L, u8, c.argOff[i], c.argLen[i]);
      x.lua_rawseti(L, -2, i - from + 1);
    }
  }

  /** Replies the error at the top of the stack. */
  private replyFailure(c: Client, L: LuaState): void {
    const { machine } = this;
    const { x } = machine;
    const name = this.scripting.runName;
    if (x.lua_type(L, -1) !== LUA_TTABLE) {
      const text = machine.toLatin1(L, -1) ?? 'execution failure';
      addReplyError(c, `Error running script ${name}, ${text.slice(0, PLAIN_ERROR_CHARS)}`);
      return;
    }
    const { text, source, line, counted } = this.errorFields(L);
    const where = source !== null && line !== null ? ` script: ${name}, on ${source}:${line}.` : '';
    replyError(c, `${text}${where}`, counted);
  }

  private errorFields(L: LuaState): { text: string; source: string | null; line: string | null; counted: boolean } {
    const { machine } = this;
    const { x } = machine;
    const field = (name: string): string | null => {
      x.lua_getfield(L, -1, machine.text(name));
      const text = machine.toLatin1(L, -1);
      x.lua_settop(L, -2);
      return text;
    };
    x.lua_getfield(L, -1, machine.text('ignore_error_stats_update'));
    const counted = x.lua_toboolean(L, -1) !== 0;
    x.lua_settop(L, -2);
    // The original has no text for an error table without one and falls; it gets one here.
    return { text: field('err') ?? 'ERR unknown error', source: field('source'), line: field('line'), counted };
  }

  /** The machine itself has failed (no memory, too deep a recursion): its states cannot be trusted any more. */
  private recover(c: Client, error: unknown): void {
    addReplyError(c, `Error running script ${this.scripting.runName}, the interpreter failed: ${String(error)}`);
    this.scripting.core.log(3, `The Lua interpreter failed and starts afresh: ${String(error)}`);
    this.scripting.restartInterpreter();
  }

  /** pcall that gives the text of an error that is a table: scripts written for older versions expect a string. */
  private protectedCall(L: LuaState): number {
    const { machine } = this;
    const { x } = machine;
    const args = x.lua_gettop(L) - 1;
    x.lua_pushboolean(L, 1);
    x.lua_insert(L, 1);
    if (x.lua_pcall(L, args, LUA_MULTRET, 0) === 0) return x.lua_gettop(L);
    x.lua_remove(L, 1);
    if (x.lua_type(L, -1) === LUA_TTABLE) {
      x.lua_getfield(L, -1, machine.text('err'));
      if (x.lua_isstring(L, -1) !== 0) x.lua_replace(L, -2);
    }
    x.lua_pushboolean(L, 0);
    x.lua_insert(L, 1);
    return x.lua_gettop(L);
  }

  /** Makes a table of every error and notes where it arose: in the function that raised it, or its caller if that is C. */
  private handleError(L: LuaState): number {
    const { machine } = this;
    const { x } = machine;
    const record = this.debugRecord;
    let found = x.lua_getstack(L, 1, record) !== 0;
    if (found) {
      x.lua_getinfo(L, machine.text('nSl'), record);
      if (machine.cString(machine.view().getUint32(record + DEBUG_WHAT, true)) === 'C') {
        found = x.lua_getstack(L, 2, record) !== 0;
        if (found) x.lua_getinfo(L, machine.text('nSl'), record);
      }
    }
    x.lua_settop(L, 1);
    if (x.lua_type(L, 1) === LUA_TNONE) x.lua_pushnil(L);
    if (x.lua_type(L, 1) !== LUA_TTABLE) {
      const text = this.errorText(L);
      x.lua_createtable(L, 0, 3);
      machine.pushLatin1(L, `ERR ${text}`);
      x.lua_setfield(L, -2, machine.text('err'));
      x.lua_replace(L, 1);
    }
    if (found) {
      const view = machine.view();
      const line = view.getInt32(record + DEBUG_LINE, true);
      x.lua_pushstring(L, view.getUint32(record + DEBUG_SOURCE, true));
      x.lua_setfield(L, 1, machine.text('source'));
      x.lua_pushnumber(L, line);
      x.lua_setfield(L, 1, machine.text('line'));
    }
    return 1;
  }

  /** What tostring would give for the value at index 1. */
  private errorText(L: LuaState): string {
    const { machine } = this;
    const { x } = machine;
    const text = machine.toLatin1(L, 1);
    if (text !== null) return text;
    x.lua_getfield(L, GLOBALS_OF_THREAD, machine.text('tostring'));
    x.lua_pushvalue(L, 1);
    x.lua_call(L, 1, 1);
    const shown = machine.toLatin1(L, -1) ?? '';
    x.lua_settop(L, 1);
    return shown;
  }

  private onHook(L: LuaState): void {
    const { machine } = this;
    const { x } = machine;
    if (this.loadDeadlineUs !== 0) {
      if (this.scripting.core.clock.monoUs() < this.loadDeadlineUs) return;
      x.lua_sethook(L, this.hook, LUA_MASKLINE, 0);
      pushErrorTable(machine, L, 'FUNCTION LOAD timeout');
      x.lua_error(L);
    }
    if (this.scripting.caller === null || !this.scripting.interrupt()) return;
    this.scripting.logKill();
    // From here on every line is stopped, so that no pcall of the script can go on.
    x.lua_sethook(L, this.hook, LUA_MASKLINE, 0);
    pushErrorTable(machine, L, 'Script killed by user with SCRIPT KILL...');
    x.lua_error(L);
  }

  private nextRandom(L: LuaState): number {
    const { machine } = this;
    const { x } = machine;
    const r = this.random.next();
    const count = x.lua_gettop(L);
    if (count === 0) {
      x.lua_pushnumber(L, r);
    } else if (count === 1) {
      const upper = Math.trunc(x.luaL_checknumber(L, 1));
      if (upper < 1) x.luaL_argerror(L, 1, machine.text('interval is empty'));
      x.lua_pushnumber(L, Math.floor(r * upper) + 1);
    } else if (count === 2) {
      const lower = Math.trunc(x.luaL_checknumber(L, 1));
      const upper = Math.trunc(x.luaL_checknumber(L, 2));
      if (lower > upper) x.luaL_argerror(L, 2, machine.text('interval is empty'));
      x.lua_pushnumber(L, Math.floor(r * (upper - lower + 1)) + lower);
    } else {
      machine.raise(L, 'wrong number of arguments');
    }
    return 1;
  }

  loadLibrary(code: string, timeoutMs: number): LibraryFunction[] | null {
    const { machine, scripting } = this;
    const { x } = machine;
    const { L, globalsMeta } = this.functions;
    if (!this.compile(L, Buffer.from(code, 'latin1'), '@user_function')) {
      this.problem = `Error compiling function: ${this.problem}`;
      return null;
    }
    this.redis.registered = [];
    this.redis.registers = isFunctionName;
    this.setGlobals(L, globalsMeta, this.loadApi);
    this.loadDeadlineUs = scripting.core.clock.monoUs() + timeoutMs * 1000;
    x.lua_sethook(L, this.hook, LUA_MASKCOUNT, HOOK_INSTRUCTIONS);
    const failed = x.lua_pcall(L, 0, 0, HANDLER) !== 0;
    x.lua_sethook(L, 0, 0, 0);
    this.loadDeadlineUs = 0;
    this.setGlobals(L, globalsMeta, 0);
    const functions = this.redis.registered;
    this.redis.registers = null;
    this.redis.registered = [];
    if (failed) {
      const text = x.lua_type(L, -1) === LUA_TTABLE ? this.errorFields(L).text : (machine.toLatin1(L, -1) ?? 'unknown');
      this.problem = `Error registering functions: ${text}`;
      for (const one of functions) x.luaL_unref(L, LUA_REGISTRYINDEX, one.handle);
    }
    x.lua_settop(L, HANDLER);
    return failed ? null : functions;
  }

  /** Lets the read-only globals show a table by reference, 0: the real globals. */
  private setGlobals(L: LuaState, globalsMeta: number, ref: number): void {
    const { x } = this.machine;
    x.lua_rawgeti(L, LUA_REGISTRYINDEX, globalsMeta);
    if (ref === 0) x.lua_pushvalue(L, GLOBALS);
    else x.lua_rawgeti(L, LUA_REGISTRYINDEX, ref);
    x.lua_setfield(L, -2, this.machine.text('__index'));
    x.lua_settop(L, -2);
  }
}

const GLOBALS_OF_THREAD = LUA_GLOBALSINDEX;

/** Makes a Lua interpreter for one server; its binary is compiled once a process. */
export function createLuaInterpreter(scripting: Scripting): ScriptInterpreter {
  return new LuaInterpreter(scripting);
}
