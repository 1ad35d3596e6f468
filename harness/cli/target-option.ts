/** The option `--target`: a URL, or a name of one's own and a URL. */
import type { EngineName, TargetSpec } from '../../scenarios/spec.ts';
import { maskCredentials, parseRemoteUrl } from '../target/remote-url.ts';
import { TargetError } from '../target/target.ts';
import { UsageError } from './exit-codes.ts';

const NAMED = /^([A-Za-z0-9_.-]+)=(.*)$/;
/** unix:/path says no protocol, so it may be led by one: redis+unix:/path, memcached+unix:/path. */
const UNIX_ENGINE = /^(redis|memcached)\+(unix:.*)$/;

/**
 * @param text `redis://host:6379`, `name=memcached://host`, `memcached+unix:/run/m.sock`
 * @param index tells unnamed targets apart
 * @throws UsageError with what to write instead
 */
export function parseTarget(text: string, index: number): TargetSpec {
  const named = NAMED.exec(text);
  const written = named ? (named[2] as string) : text;
  const unix = UNIX_ENGINE.exec(written);
  const url = unix ? (unix[2] as string) : written;
  const engineGuess = (unix?.[1] ?? 'redis') as EngineName;
  try {
    const { engine } = parseRemoteUrl(url, engineGuess);
    const id = named ? (named[1] as string) : `remote-${engine}-${index + 1}`;
    const bare = url.replace(/\/\/[^/@]*@/, '//');
    return {
      id,
      label: named ? id : bare,
      engine,
      kind: 'remote',
      binary: null,
      flags: [],
      url,
      optional: false,
      eventLoop: 'auto',
      socket: unix || url.startsWith('unix:') ? 'unix' : 'tcp',
    };
  } catch (error) {
    if (error instanceof TargetError) throw new UsageError(maskCredentials(`--target: ${error.message}`));
    throw error;
  }
}
