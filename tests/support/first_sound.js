/** Resolves when the first frame of an audio `track` with a sample louder than `level` (0-1) comes; never, if it ends before. */
export function firstSound(track, level) {
  const frames = new MediaStreamTrackProcessor({ track }).readable.getReader();
  const samples = new Float32Array(4800);
  return new Promise((resolve) => {
    const read = async () => {
      for (;;) {
        const { value: frame, done } = await frames.read();
        if (done) return;
        frame.copyTo(samples, { planeIndex: 0, format: "f32-planar" });
        const sounds = samples.subarray(0, frame.numberOfFrames).some((one) => Math.abs(one) > level);
        frame.close();
        if (sounds) {
          resolve();
          return frames.cancel();
        }
      }
    };
    read();
  });
}
