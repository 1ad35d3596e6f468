/** Gives up the rights of root, as memcached's -u asks for it. */
import { readFileSync } from 'node:fs';
import { EX_NOUSER, EX_OSERR, OptionError } from './option-error.ts';

const USERS_FILE = '/etc/passwd';

/**
 * Becomes the named user, when this process is root's; does nothing else. Before anything is opened and before threads start.
 * @throws OptionError where there is no such user, or the system refuses
 */
export function becomeUser(name: string | null): void {
  const { getuid, setuid, setgid, setgroups } = process;
  if (name === null || getuid?.() !== 0 || setuid === undefined || setgid === undefined) return;
  const user = findUser(name);
  if (user === null) throw new OptionError(`can't find the user ${name} to switch to`, EX_NOUSER);
  if (user.uid === 0) return;
  try {
    setgroups?.([]);
    setgid(user.gid);
    setuid(user.uid);
  } catch (error) {
    throw new OptionError(`failed to assume identity of user ${name}: ${(error as Error).message}`, EX_OSERR);
  }
}

function findUser(name: string): { uid: number; gid: number } | null {
  for (const line of readFileSync(USERS_FILE, 'utf8').split('\n')) {
    const [user, , uid, gid] = line.split(':');
    if (user === name) return { uid: Number(uid), gid: Number(gid) };
  }
  return null;
}
