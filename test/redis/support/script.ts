/**
 * Plays the same lines on several connections to our server and to the original, one after the other, and shows what each said: replies,
 * and messages that nobody asked for.
 */
import { encodeCommand, RespClient, RespError, type RespValue, settle } from '../../support/resp-client.ts';
import type { TestServer } from './servers.ts';

/** A reply as plain text that can be compared. */
export function showReply(value: RespValue): string {
  if (value instanceof RespError) return `error ${value.message}`;
  if (value instanceof Map) return `map{${[...value].map(([k, v]) => `${showReply(k)}: ${showReply(v)}`).join(', ')}}`;
  if (value instanceof Set) return `set{${[...value].map(showReply).sort().join(', ')}}`;
  if (Array.isArray(value)) return `[${value.map(showReply).join(', ')}]`;
  if (typeof value === 'object' && value !== null) {
    return 'push' in value ? `push${showReply(value.push)}` : `double ${value.double}`;
  }
  return typeof value === 'string' ? JSON.stringify(value) : String(value);
}

/** Splits a line into words; quotes keep blanks together and allow an empty word, `\xNN` is a byte. */
function words(line: string): string[] {
  const found = line.match(/"(?:[^"\\]|\\.)*"|\S+/g) ?? [];
  return found.map((word) => {
    const bare = word.startsWith('"') ? word.slice(1, -1) : word;
    return bare.replace(/\\x([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  });
}

/**
 * @param lines "A: SET k v" plays a command on connection A; the connection is opened at its first line. "A! …" sends without waiting
 *   for a reply; "A? …" does not show the reply; "* 50" waits until all that was sent is done, and 50 ms more; "A& a ; b" sends several commands at
 *   once. `$A` becomes the id of client A.
 * @param normal evens out what must differ (times, addresses)
 */
export async function playScript(
  server: TestServer,
  lines: readonly string[],
  normal: (text: string) => string = (text) => text,
): Promise<string[]> {
  const clients = new Map<string, RespClient>();
  const ids = new Map<string, string>();
  const out: string[] = [];
  // Opened when it is needed, so that both servers see it come at the same place.
  let probe: RespClient | undefined;
  const settled = async () => {
    probe ??= await RespClient.connect({ path: server.path });
    await settle(probe);
  };
  try {
    for (const line of lines) {
      if (line.startsWith('*')) {
        await settled();
        await new Promise((resolve) => setTimeout(resolve, Number(line.slice(1))));
        continue;
      }
      const [, name, kind, rest] = /^(\w+)([:!?&]) ?(.*)$/s.exec(line)!;
      let client = clients.get(name!);
      if (client === undefined) {
        client = await RespClient.connect({ path: server.path });
        clients.set(name!, client);
        ids.set(name!, String(await client.command('CLIENT', 'ID')));
      }
      const text = rest!.replace(/\$([A-Z])\b/g, (all, one: string) => ids.get(one) ?? all);
      if (kind === '!') client.socket.write(encodeCommand(words(text)));
      else if (kind === '&') {
        const commands = text.split(' ; ').map(words);
        const replies = await client.raw(Buffer.concat(commands.map(encodeCommand)), commands.length);
        out.push(normal(`${line} -> ${replies.map(showReply).join(' | ')}`));
      } else {
        const reply = await client.command(...words(text));
        if (kind === ':') out.push(normal(`${line} -> ${showReply(reply)}`));
      }
    }
    await settled();
    for (const [name, client] of clients) {
      for (const message of client.unasked) out.push(normal(`${name} heard ${showReply(message)}`));
    }
    let text = out.join('\n');
    for (const [name, id] of ids) text = text.replaceAll(new RegExp(`\\bid=${id}\\b`, 'g'), `id=$${name}`);
    return text.split('\n');
  } finally {
    await Promise.all([...clients.values(), ...(probe ? [probe] : [])].map((client) => client.close()));
  }
}
