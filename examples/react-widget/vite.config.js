import react from '@vitejs/plugin-react';
import { defineConfig } from 'vite';

const listen = {
  host: '127.0.0.1',
  port: Number(process.env.PORT || 5173),
  strictPort: true,
  // the page asks its own origin; the broker that holds the secret key answers
  proxy: { '/api': process.env.BROKER_URL || 'http://127.0.0.1:3000' }
};

export default defineConfig({
  plugins: [react()],
  server: listen,
  preview: listen
});
