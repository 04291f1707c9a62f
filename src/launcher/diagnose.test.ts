import { describe, expect, it } from 'vitest';
import { explainRuntimeOutput } from './diagnose.ts';

describe("the end of the runtime's process", () => {
  it.each([
    ['kj/exception: SQLITE_CORRUPT: database disk image is malformed', 'is damaged'],
    ['SQLITE_NOTADB: file is not a database', 'is damaged'],
    ['SQLITE_FULL: database or disk is full', 'disk of the data directory is full'],
    ['bind(sockfd, &addr.generic, addrlen): Address already in use', 'port was taken'],
    ["version `GLIBC_2.35' not found", 'does not run on this system'],
  ])('is explained where the output %j is known', (output, reason) => {
    expect(explainRuntimeOutput(output, 1, null)).toContain(reason);
  });

  it('is told by code and last lines otherwise', () => {
    const text = explainRuntimeOutput('line one\nline two\n', 7, null);
    expect(text).toContain('ended with code 7');
    expect(text).toContain('line two');
  });

  it('is told by its signal when killed', () => {
    expect(explainRuntimeOutput('', null, 'SIGKILL')).toContain(
      'was ended by SIGKILL: killed by the system or by hand',
    );
  });
});
