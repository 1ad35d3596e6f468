/** A server whose Lua interpreter cannot be loaded says so to whoever sends a script, and goes on. */
import { expect, it } from 'vitest';
import { attachAdmin } from '../../engines/redis/admin.ts';
import { attachScripting } from '../../engines/redis/scripting/scripting.ts';
import { RespError } from '../support/resp-client.ts';
import { Loopback } from './support/loopback.ts';

it('scripts and functions are refused with the reason while everything else works', () => {
  const lab = new Loopback(16 * 1024 * 1024);
  attachAdmin(lab.core);
  attachScripting(lab.core, () => {
    throw new Error("Cannot find module 'lua'\nRequire stack: x");
  });
  lab.open(0);
  lab.command(0, 'SET', 'k', 'v');
  for (const command of [
    ['EVAL', 'return 1', '0'],
    ['EVAL_RO', 'return 1', '0'],
    ['SCRIPT', 'LOAD', 'return 1'],
    ['FUNCTION', 'LOAD', "#!lua name=l\nredis.register_function('f', function() end)"],
  ]) {
    const reply = lab.command(0, ...command) as RespError;
    expect(reply).toBeInstanceOf(RespError);
    expect(reply.message).toBe(
      "ERR Cannot run scripts: the Lua interpreter cannot be loaded: Cannot find module 'lua'",
    );
  }
  for (const command of [
    ['SCRIPT', 'FLUSH'],
    ['FUNCTION', 'FLUSH'],
  ]) {
    expect(lab.command(0, ...command)).toBe('OK');
  }
  expect(String((lab.command(0, 'EVALSHA', 'a'.repeat(40), '0') as RespError).message)).toMatch(/^NOSCRIPT/);
  expect(lab.command(0, 'GET', 'k')).toBe('v');
});
