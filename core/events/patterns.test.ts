import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isWildcard, matchPattern, patternsFor } from './patterns.ts';

describe('matchPattern', () => {
  it.each([
    ['app/user.created', 'app/user.created', true],
    ['app/*', 'app/user.created', true],
    ['app/user.*', 'app/user.created', true],
    ['app/user.*', 'app/user.deleted.hard', true],
    ['*', 'anything', true],
    ['app/us*', 'app/user.created', false],
    ['*/user', 'app/user', false],
    ['app/*', 'application/x', false],
    ['app/user.*', 'app/user', false],
    ['app/user', 'app/user.created', false],
  ])('%s against %s is %s', (pattern, name, expected) => {
    expect(matchPattern(pattern, name)).toBe(expected);
  });
});

describe('patternsFor', () => {
  it('lists the name, its prefixes and the star', () => {
    expect(patternsFor('app/user.created')).toEqual(['app/user.created', 'app/*', 'app/user.*', '*']);
    expect(patternsFor('api/v1/users')).toEqual(['api/v1/users', 'api/*', 'api/v1/*', '*']);
    expect(patternsFor('simple')).toEqual(['simple', '*']);
  });

  it('lists exactly the patterns that match', () => {
    const name = fc.stringMatching(/^[ab./*]{0,12}$/);
    fc.assert(
      fc.property(name, name, (pattern, eventName) => {
        expect(patternsFor(eventName).includes(pattern)).toBe(matchPattern(pattern, eventName));
      }),
      { numRuns: 2_000 },
    );
  });

  it('tells wildcards from names', () => {
    expect(['*', 'a/*', 'a.*', 'a*', 'a', ''].map(isWildcard)).toEqual([true, true, true, false, false, false]);
  });
});
