/** Where users come from when the server starts, and the ACL file that they are loaded from and saved to. */
import type { Client } from '../client.ts';
import { LOG_WARNING } from '../log-levels.ts';
import type { RedisCore } from '../redis-core.ts';
import { applyUserLines, parseAclFile } from './acl-file.ts';
import { disconnectUsers } from './sessions.ts';

const TWO_SOURCES =
  'Configuring Redis with users defined in redis.conf and at the same setting an ACL file path is invalid. This setup is very ' +
  'likely to lead to configuration errors and security holes, please define either an ACL file or declare users directly in your ' +
  'redis.conf, but not both.';

/** What the system says of a failure, in the C library's words where they are known. */
function reasonOf(error: unknown): string {
  const { code } = error as { code?: unknown };
  if (code === 'ENOENT') return 'No such file or directory';
  if (code === 'EACCES') return 'Permission denied';
  if (code === 'EISDIR') return 'Is a directory';
  return error instanceof Error ? error.message : String(error);
}

/**
 * Replaces all users by those of the ACL file; whoever is one of the former ones, the default user aside, is disconnected.
 * @param current the client that asked for it, null at the start
 * @returns null, or why everything stays as it is
 */
export function loadAclFile(core: RedisCore, current: Client | null): string | null {
  const path = core.config.aclfile;
  let text = '';
  try {
    for (const byte of core.disk!.readFile(path)) text += String.fromCharCode(byte);
  } catch (error) {
    return `Error loading ACLs, opening file '${path}': ${reasonOf(error)}`;
  }
  const users = parseAclFile(text, path, core.acl.defaults);
  if (typeof users === 'string') return users;
  disconnectUsers(core, core.acl.replaceAll(users), current);
  return null;
}

/** Writes the users to the ACL file. @returns null or the text of the error reply; the log has the reason */
export function saveAclFile(core: RedisCore): string | null {
  const path = core.config.aclfile;
  let text = '';
  for (const line of core.acl.lines()) text += `${line}\n`;
  try {
    core.disk!.replaceFile(
      path,
      Uint8Array.from(text, (char) => char.charCodeAt(0)),
    );
    return null;
  } catch (error) {
    core.log(LOG_WARNING, `Cannot save the ACL file ${path}: ${reasonOf(error)}`);
    return 'There was an error trying to save the ACLs. Please check the server logs for more information';
  }
}

/**
 * Makes the users that the configuration or the ACL file declares, when a server starts.
 * @param lines name and rules of each `user` line
 * @returns null, or why the server must not start, in one line or two
 */
export function loadUsersAtStart(core: RedisCore, lines: readonly (readonly string[])[]): readonly string[] | null {
  if (lines.length > 0 && core.config.aclfile !== '') return [TWO_SOURCES];
  if (core.config.aclfile !== '' && core.disk !== null) {
    const error = loadAclFile(core, null);
    return error === null ? null : [`Aborting Redis startup because of ACL errors: ${error}`];
  }
  const error = applyUserLines(core.acl, lines);
  return error === null ? null : [error, 'Critical error while loading ACLs. Exiting.'];
}
