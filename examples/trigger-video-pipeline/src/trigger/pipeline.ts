import { setTimeout as delay } from 'node:timers/promises';
import { AbortTaskRunError, metadata, queue, task } from '@trigger.dev/sdk';

export const FORMATS = ['1080p', '720p', '480p', 'audio'] as const;
export type Format = (typeof FORMATS)[number];

/** What a page shows while the video is made, and afterwards. */
export interface Progress {
  phase: 'probing' | 'encoding' | 'published';
  done: number;
  total: number;
  percent: number;
  formats: string[];
}

/** Encoders are few: two at a time, whatever is asked for. */
const encoders = queue({ name: 'encoders', concurrencyLimit: 2 });

/** Makes one rendition and tells the video's run. The encoder fails once at the largest size. */
export const encode = task({
  id: 'encode',
  queue: encoders,
  machine: 'medium-1x',
  run: async ({ videoId, format }: { videoId: string; format: Format }, { ctx }) => {
    await delay(100);
    if (format === '1080p' && ctx.attempt.number === 1) throw new Error('the encoder ran out of memory');
    metadata.parent.increment('done', 1).append('formats', format);
    return { file: `${videoId}-${format}.mp4`, attempt: ctx.attempt.number };
  },
});

export const makeVideo = task({
  id: 'make-video',
  run: async ({ videoId }: { videoId: string }) => {
    metadata.set('phase', 'probing').set('done', 0).set('total', FORMATS.length).set('formats', []);
    await metadata.flush();
    await delay(50);
    metadata.set('phase', 'encoding');
    await metadata.flush();
    const renditions = await encode.batchTriggerAndWait(
      FORMATS.map((format) => ({ payload: { videoId, format }, options: { tags: [`video_${videoId}`] } })),
    );
    const files: string[] = [];
    for (const rendition of renditions.runs) {
      if (!rendition.ok) throw new AbortTaskRunError(`not every rendition was made: ${String(rendition.error)}`);
      files.push(rendition.output.file);
    }
    metadata.set('phase', 'published').set('percent', 100);
    return { videoId, files };
  },
});
