import { setTimeout as delay } from 'node:timers/promises';
import { AbortTaskRunError, task, wait } from '@trigger.dev/sdk';

interface Video {
  videoId: string;
}

/** Makes one image. The renderer has no free slot for the first attempt at the large size. */
export const makeThumbnail = task({
  id: 'make-thumbnail',
  run: async ({ videoId, size }: Video & { size: string }, { ctx }) => {
    await delay(200);
    if (size === 'large' && ctx.attempt.number === 1) throw new Error('the renderer has no free slot');
    return `${videoId}-${size}.png`;
  },
});

/** Fans out to three thumbnails, waits for the network of caches, then publishes. */
export const publishVideo = task({
  id: 'publish-video',
  run: async ({ videoId }: Video) => {
    const thumbnails: string[] = [];
    const results = await makeThumbnail.batchTriggerAndWait(
      ['small', 'medium', 'large'].map((size) => ({ payload: { videoId, size } })),
    );
    for (const result of results.runs) {
      if (!result.ok) throw new AbortTaskRunError(`no thumbnail: ${String(result.error)}`);
      thumbnails.push(result.output);
    }
    await wait.for({ seconds: 6 });
    return { videoId, thumbnails, published: true };
  },
});
