import { metadata, task, wait } from '@trigger.dev/sdk';

export interface Decision {
  approved: boolean;
  by: string;
  note?: string;
}

/** Nothing is published that a human has not seen: the run waits, a day at most where nothing else is said. */
export const publishPost = task({
  id: 'publish-post',
  run: async ({ title, within = '1d' }: { title: string; within?: string }) => {
    const draft = `# ${title}\n\nWritten by a machine.`;
    const token = await wait.createToken({ timeout: within, tags: ['review'] });
    // The reviewer's page finds here what it needs; `url` completes the token with any POST, also from a chat's button.
    metadata.set('review', { token: token.id, url: token.url, draft });
    await metadata.flush();
    const decision = await wait.forToken<Decision>(token);
    if (!decision.ok) {
      metadata.set('state', 'expired');
      return { published: false, reason: 'nobody looked at it in time' };
    }
    const { approved, by, note } = decision.output;
    metadata.set('state', approved ? 'published' : 'rejected').set('reviewer', by);
    return approved ? { published: true, by } : { published: false, by, reason: note ?? 'no reason given' };
  },
});
