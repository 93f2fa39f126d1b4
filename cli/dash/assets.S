/* SPDX-License-Identifier: MIT */
/*
 * assets.S -- the dashboard's page, put together from its files while assembling.
 *
 * uplot/ is uPlot (https://github.com/leeoniya/uPlot, MIT) as npm has it; make dash-assets
 * fetches it anew.  Its licence goes into the page with it.
 */
    .section .rodata
    .globl dash_page_begin
    .globl dash_page_end
    .hidden dash_page_begin
    .hidden dash_page_end
dash_page_begin:
    .incbin "cli/dash/head.html"
    .ascii "<!-- uPlot, which draws the chart:\n\n"
    .incbin "cli/dash/uplot/LICENSE"
    .ascii "-->\n<style>\n"
    .incbin "cli/dash/uplot/uPlot.min.css"
    .incbin "cli/dash/page.css"
    .ascii "</style>\n"
    .incbin "cli/dash/body.html"
    .ascii "<script>\n"
    .incbin "cli/dash/uplot/uPlot.iife.min.js"
    .ascii "</script>\n<script>\n"
    .incbin "cli/dash/page.js"
    .ascii "</script>\n</html>\n"
dash_page_end:
    .section .note.GNU-stack,"",%progbits
