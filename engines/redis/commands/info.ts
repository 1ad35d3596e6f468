/** INFO. */
import type { Client } from '../client.ts';
import type { CommandProc } from '../command.ts';
import { infoText } from '../info.ts';
import { addReplyVerbatim } from '../protocol/reply.ts';
import type { RedisCore } from '../redis-core.ts';

function info(core: RedisCore, c: Client): void {
  const wanted: string[] = [];
  for (let i = 1; i < c.argc; i++) wanted.push(c.argText(i).toLowerCase());
  addReplyVerbatim(c, infoText(core, wanted), 'txt');
}

export const infoProcs: Readonly<Record<string, CommandProc>> = { info };
