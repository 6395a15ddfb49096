# Completion for blksh(1), computed from its table of commands.

# What the value of the option $prev may be.
_blksh_value() {
	case $prev in
	--object) flags= words='' files= ;;
	-c | --cmd) flags= words='abort aio_cancel aio_discard aio_flush aio_list aio_read aio_wait aio_write alloc amend bench bitmap break capabilities check close commit compare copy create discard edit exports find flush help images info iszero length luks map measure merge multiwrite next open quit read readv rebase remove_break reopen resize resume serve show sigraise sleep snapshot source sum truncate undo use verify_job verify_read verify_write version view wait_break wire write writev zone_append zone_close zone_finish zone_open zone_report zone_reset' files= ;;
	-f | --format) flags= words='luks qcow2 raw vdi' files= ;;
	-i | --aio) flags= words='threads native io_uring' files= ;;
	-t | --cache) flags= words='none writeback writethrough directsync unsafe' files= ;;
	-d | --discard) flags= words='ignore unmap' files= ;;
	-T | --trace) flags= words='' files= ;;
	--undo) flags= words='' files=yes ;;
	--color) flags= words='auto always never' files= ;;
	--script) flags= words='' files=yes ;;
	--dialect) flags= words='native qemu qemu-7.2 qemu-2.4' files= ;;
	--completion) flags= words='bash fish zsh' files= ;;
	esac
}

# What may follow behind a command.
_blksh_operands() {
	case $1 in
	abort)
		flags='' words='' files=
		;;
	aio_cancel)
		flags='' words='' files=
		;;
	aio_discard)
		flags='-C --csv -q --quiet' words='' files=
		;;
	aio_flush)
		flags='' words='' files=
		;;
	aio_list)
		flags='' words='' files=
		;;
	aio_read)
		flags='-C --csv -i --invalid -P --pattern -q --quiet -r -v --verbose' words='' files=
		case $prev in
	-P | --pattern) flags= words='' files= ;;
		esac
		;;
	aio_wait)
		flags='' words='' files=
		;;
	aio_write)
		flags='-C --csv -f --fua -i --invalid -P --pattern -q --quiet -r -u --unmap -z --zero' words='' files=
		case $prev in
	-P | --pattern) flags= words='' files= ;;
		esac
		;;
	alloc | a)
		flags='' words='' files=
		;;
	amend)
		flags='-o --options' words='' files=
		case $prev in
	-o | --options) flags= words='' files= ;;
		esac
		;;
	bench)
		flags='-b --block -d --depth -n --requests -P --pattern -t --time --flush --report --runs --seed' words='read write randread randwrite' files=
		case $prev in
	-b | --block) flags= words='' files= ;;
	-d | --depth) flags= words='' files= ;;
	-n | --requests) flags= words='' files= ;;
	-P | --pattern) flags= words='' files= ;;
	-t | --time) flags= words='' files= ;;
	--report) flags= words='' files=yes ;;
	--runs) flags= words='' files= ;;
	--seed) flags= words='' files= ;;
		esac
		;;
	bitmap)
		flags='-g --granularity --disabled --from --from-format' words='list add remove clear enable disable merge' files=
		case $prev in
	-g | --granularity) flags= words='' files= ;;
	--from) flags= words='' files=yes ;;
	--from-format) flags= words='luks qcow2 raw vdi' files= ;;
		esac
		;;
	break)
		flags='' words='l1_update l1_grow_alloc_table l1_grow_write_table l1_grow_activate_table l2_load l2_update l2_update_compressed l2_alloc_cow_read l2_alloc_write read_aio read_backing_aio read_compressed write_aio write_compressed vmstate_load vmstate_save cow_read cow_write reftable_load reftable_grow reftable_update refblock_load refblock_update refblock_update_part refblock_alloc refblock_alloc_hookup refblock_alloc_write refblock_alloc_write_blocks refblock_alloc_write_table refblock_alloc_switch_table cluster_alloc cluster_alloc_bytes cluster_alloc_space cluster_free flush_to_os flush_to_disk pwritev_rmw_head pwritev_rmw_after_head pwritev_rmw_tail pwritev_rmw_after_tail pwritev pwritev_zero pwritev_done empty_image_prepare l1_shrink_write_table l1_shrink_free_l2_clusters cor_write none' files=
		;;
	capabilities)
		flags='--json' words='' files=
		;;
	check)
		flags='-f --format -r --repair -U --force-share --draw --force --report --svg' words='' files=yes
		case $prev in
	-f | --format) flags= words='luks qcow2 raw vdi' files= ;;
	-r | --repair) flags= words='leaks all' files= ;;
	--report) flags= words='' files=yes ;;
	--svg) flags= words='' files=yes ;;
		esac
		;;
	close | c)
		flags='' words='' files=
		;;
	commit)
		flags='-d --keep -f --format --allow-backing-device' words='' files=yes
		case $prev in
	-f | --format) flags= words='luks qcow2 raw vdi' files= ;;
		esac
		;;
	compare)
		flags='-f --format -s --strict -U --force-share --all --draw --force --report --resume --shard --svg' words='' files=yes
		case $prev in
	-f | --format) flags= words='luks qcow2 raw vdi' files= ;;
	--report) flags= words='' files=yes ;;
	--resume) flags= words='' files= ;;
	--shard) flags= words='slurm k8s env' files= ;;
	--svg) flags= words='' files=yes ;;
		esac
		;;
	copy)
		flags='-b --backing -c --compress -F --backing-format -f --format -n --existing -o --options -U --force-share --bitmap --force --journal --resume --shard --source-format --verify' words='' files=yes
		case $prev in
	-b | --backing) flags= words='' files=yes ;;
	-F | --backing-format) flags= words='luks qcow2 raw vdi' files= ;;
	-f | --format) flags= words='luks qcow2 raw vdi' files= ;;
	-o | --options) flags= words='' files= ;;
	--bitmap) flags= words='' files= ;;
	--journal) flags= words='' files=yes ;;
	--shard) flags= words='slurm k8s env' files= ;;
	--source-format) flags= words='luks qcow2 raw vdi' files= ;;
		esac
		;;
	create)
		flags='-b --backing -F --backing-format -f --format -o --options --force' words='' files=yes
		case $prev in
	-b | --backing) flags= words='' files=yes ;;
	-F | --backing-format) flags= words='luks qcow2 raw vdi' files= ;;
	-f | --format) flags= words='luks qcow2 raw vdi' files= ;;
	-o | --options) flags= words='' files= ;;
		esac
		;;
	discard | d)
		flags='-C --csv -q --quiet --all --verify' words='' files=
		;;
	edit)
		flags='--undo' words='' files=
		case $prev in
	--undo) flags= words='' files=yes ;;
		esac
		;;
	exports)
		flags='' words='' files=
		;;
	find)
		flags='--base64 --context --hex --max --regex --shard --text' words='' files=
		case $prev in
	--base64) flags= words='' files= ;;
	--context) flags= words='' files= ;;
	--hex) flags= words='' files= ;;
	--max) flags= words='' files= ;;
	--regex) flags= words='' files= ;;
	--shard) flags= words='slurm k8s env' files= ;;
	--text) flags= words='' files= ;;
		esac
		;;
	flush | f)
		flags='' words='' files=
		;;
	help | ?)
		flags='' words='abort aio_cancel aio_discard aio_flush aio_list aio_read aio_wait aio_write alloc amend bench bitmap break capabilities check close commit compare copy create discard edit exports find flush help images info iszero length luks map measure merge multiwrite next open quit read readv rebase remove_break reopen resize resume serve show sigraise sleep snapshot source sum truncate undo use verify_job verify_read verify_write version view wait_break wire write writev zone_append zone_close zone_finish zone_open zone_report zone_reset dialects engines json keys names nbd patterns quoting reports safety scripts settings shards sizes status' files=
		;;
	images)
		flags='' words='' files=
		;;
	info | i)
		flags='' words='' files=
		;;
	iszero)
		flags='--all --draw --first --force --report --resume --shard --svg' words='' files=
		case $prev in
	--report) flags= words='' files=yes ;;
	--resume) flags= words='' files= ;;
	--shard) flags= words='slurm k8s env' files= ;;
	--svg) flags= words='' files=yes ;;
		esac
		;;
	length | l)
		flags='' words='' files=
		;;
	luks)
		flags='-n --slot -s --secret -t --iter-time' words='slots add remove' files=
		case $prev in
	-n | --slot) flags= words='' files= ;;
	-s | --secret) flags= words='' files= ;;
	-t | --iter-time) flags= words='' files= ;;
		esac
		;;
	map)
		flags='--bitmap --draw --force --report --svg --totals' words='' files=
		case $prev in
	--bitmap) flags= words='' files= ;;
	--report) flags= words='' files=yes ;;
	--svg) flags= words='' files=yes ;;
		esac
		;;
	measure)
		flags='-b --backing -f --format -o --options -U --force-share --size --source-format' words='' files=yes
		case $prev in
	-f | --format) flags= words='luks qcow2 raw vdi' files= ;;
	-o | --options) flags= words='' files= ;;
	--size) flags= words='' files= ;;
	--source-format) flags= words='luks qcow2 raw vdi' files= ;;
		esac
		;;
	merge)
		flags='--all' words='' files=
		;;
	multiwrite)
		flags='-C --csv -P --pattern -q --quiet' words='' files=
		case $prev in
	-P | --pattern) flags= words='' files= ;;
		esac
		;;
	next)
		flags='--max' words='' files=
		case $prev in
	--max) flags= words='' files= ;;
		esac
		;;
	open | o)
		flags='-a --as -C --copy-on-read -d --discard -f --format -g -i --aio -k --native-aio -n --nocache -o --options -r --read-only -s --overlay -t --cache -U --force-share -w --write --allow-backing-device --in-use --rmw --snapshot --strict --undo' words='' files=yes
		case $prev in
	-a | --as) flags= words='' files= ;;
	-d | --discard) flags= words='ignore unmap' files= ;;
	-f | --format) flags= words='luks qcow2 raw vdi' files= ;;
	-i | --aio) flags= words='threads native io_uring' files= ;;
	-o | --options) flags= words='' files= ;;
	-t | --cache) flags= words='none writeback writethrough directsync unsafe' files= ;;
	--snapshot) flags= words='' files= ;;
	--undo) flags= words='' files=yes ;;
		esac
		;;
	quit | q)
		flags='' words='' files=
		;;
	read | r)
		flags='-b --vmstate -C --csv -l --length -o --output -P --pattern -p -q --quiet -r -s --start -v --verbose --all --draw --endian --fold --force --style --svg --words' words='' files=
		case $prev in
	-l | --length) flags= words='' files= ;;
	-o | --output) flags= words='' files=yes ;;
	-P | --pattern) flags= words='' files= ;;
	-s | --start) flags= words='' files= ;;
	--endian) flags= words='little big' files= ;;
	--style) flags= words='qemu xxd c' files= ;;
	--svg) flags= words='' files=yes ;;
	--words) flags= words='2 4 8' files= ;;
		esac
		;;
	readv)
		flags='-C --csv -P --pattern -q --quiet -r -v --verbose' words='' files=
		case $prev in
	-P | --pattern) flags= words='' files= ;;
		esac
		;;
	rebase)
		flags='-b --backing -F --backing-format -f --format -u --unsafe --allow-backing-device' words='' files=yes
		case $prev in
	-b | --backing) flags= words='' files=yes ;;
	-F | --backing-format) flags= words='luks qcow2 raw vdi' files= ;;
	-f | --format) flags= words='luks qcow2 raw vdi' files= ;;
		esac
		;;
	remove_break)
		flags='' words='' files=
		;;
	reopen)
		flags='-c --cache -o --options -r --read-only -w --read-write --in-use' words='' files=
		case $prev in
	-c | --cache) flags= words='none writeback writethrough directsync unsafe' files= ;;
	-o | --options) flags= words='' files= ;;
		esac
		;;
	resize)
		flags='-m --preallocation --shrink' words='' files=
		case $prev in
	-m | --preallocation) flags= words='off metadata falloc full' files= ;;
		esac
		;;
	resume)
		flags='' words='' files=
		;;
	serve)
		flags='-f --format -r --read-only -U --force-share -v --verbose -w --write-device --bind --bitmap --export --in-use --once --port --tls --unix' words='' files=
		case $prev in
	-f | --format) flags= words='luks qcow2 raw vdi' files= ;;
	--bind) flags= words='' files= ;;
	--bitmap) flags= words='' files= ;;
	--export) flags= words='' files= ;;
	--port) flags= words='' files= ;;
	--tls) flags= words='' files=yes ;;
	--unix) flags= words='' files=yes ;;
		esac
		;;
	show)
		flags='' words='mbr gpt qcow2 luks ext4 xfs' files=
		;;
	sigraise)
		flags='' words='' files=
		;;
	sleep)
		flags='' words='' files=
		;;
	snapshot)
		flags='' words='list create apply delete' files=
		;;
	source)
		flags='' words='' files=yes
		;;
	sum)
		flags='-a --algorithm --shard --tree' words='' files=
		case $prev in
	-a | --algorithm) flags= words='sha256 sha512 sha384 sha3-256 sha1 md5 crc32 crc32c blksum' files= ;;
	--shard) flags= words='slurm k8s env' files= ;;
		esac
		;;
	truncate | t)
		flags='-m --preallocation --shrink' words='' files=
		case $prev in
	-m | --preallocation) flags= words='off metadata falloc full' files= ;;
		esac
		;;
	undo)
		flags='--check --force' words='' files=yes
		;;
	use)
		flags='' words='' files=
		;;
	verify_job)
		flags='--all --dump --fio --merge --read --report --resume --section --shard --write' words='' files=yes
		case $prev in
	--dump) flags= words='' files=yes ;;
	--fio) flags= words='2.2 3.33 3.40 3.42' files= ;;
	--merge) flags= words='' files= ;;
	--report) flags= words='' files=yes ;;
	--resume) flags= words='' files= ;;
	--section) flags= words='' files= ;;
	--shard) flags= words='slurm k8s env' files= ;;
		esac
		;;
	verify_read)
		flags='-b --block -d --depth -o --option -P --pattern -t --type --acknowledged --all --content --draw --dump --exact --fatal --fio --force --generation --header-offset --holes --interval --journal --merge --order --pattern-interval --report --resume --seed --shard --state --svg' words='' files=
		case $prev in
	-b | --block) flags= words='' files= ;;
	-d | --depth) flags= words='' files= ;;
	-o | --option) flags= words='' files= ;;
	-P | --pattern) flags= words='' files= ;;
	-t | --type) flags= words='any crc16 crc32 crc32c crc32c-intel crc64 crc7 md5 meta null pattern pattern_hdr sha1 sha256 sha3-224 sha3-256 sha3-384 sha3-512 sha512 xxhash' files= ;;
	--dump) flags= words='' files=yes ;;
	--fio) flags= words='2.2 3.33 3.40 3.42' files= ;;
	--generation) flags= words='' files= ;;
	--header-offset) flags= words='' files= ;;
	--interval) flags= words='' files= ;;
	--journal) flags= words='' files=yes ;;
	--merge) flags= words='' files= ;;
	--order) flags= words='seq random' files= ;;
	--pattern-interval) flags= words='' files= ;;
	--report) flags= words='' files=yes ;;
	--resume) flags= words='' files= ;;
	--seed) flags= words='' files= ;;
	--shard) flags= words='slurm k8s env' files= ;;
	--state) flags= words='' files=yes ;;
	--svg) flags= words='' files=yes ;;
		esac
		;;
	verify_write)
		flags='-b --block -d --depth -o --option -P --pattern -t --type --all --check --dump --fio --generation --header-offset --interval --journal --merge --order --pattern-interval --report --resume --seed --shard --state' words='' files=
		case $prev in
	-b | --block) flags= words='' files= ;;
	-d | --depth) flags= words='' files= ;;
	-o | --option) flags= words='' files= ;;
	-P | --pattern) flags= words='' files= ;;
	-t | --type) flags= words='any crc16 crc32 crc32c crc32c-intel crc64 crc7 md5 meta null pattern pattern_hdr sha1 sha256 sha3-224 sha3-256 sha3-384 sha3-512 sha512 xxhash' files= ;;
	--dump) flags= words='' files=yes ;;
	--fio) flags= words='2.2 3.33 3.40 3.42' files= ;;
	--generation) flags= words='' files= ;;
	--header-offset) flags= words='' files= ;;
	--interval) flags= words='' files= ;;
	--journal) flags= words='' files=yes ;;
	--merge) flags= words='' files= ;;
	--order) flags= words='seq random' files= ;;
	--pattern-interval) flags= words='' files= ;;
	--report) flags= words='' files=yes ;;
	--resume) flags= words='' files= ;;
	--seed) flags= words='' files= ;;
	--shard) flags= words='slurm k8s env' files= ;;
	--state) flags= words='' files=yes ;;
		esac
		;;
	version)
		flags='--json' words='' files=
		;;
	view)
		flags='' words='' files=
		;;
	wait_break)
		flags='' words='' files=
		;;
	wire)
		flags='--context --form --timeout --together' words='' files=
		case $prev in
	--context) flags= words='' files= ;;
	--form) flags= words='simple structured extended' files= ;;
	--timeout) flags= words='' files= ;;
		esac
		;;
	write | w)
		flags='-b --vmstate -C --csv -c --compress -f --fua -n --no-fallback -P --pattern -p -q --quiet -r -s --source -u --unmap -z --zero --all --base64 --hex --text --verify' words='' files=
		case $prev in
	-P | --pattern) flags= words='' files= ;;
	-s | --source) flags= words='' files=yes ;;
	--base64) flags= words='' files= ;;
	--hex) flags= words='' files= ;;
	--text) flags= words='' files= ;;
		esac
		;;
	writev)
		flags='-C --csv -f --fua -P --pattern -q --quiet -r' words='' files=
		case $prev in
	-P | --pattern) flags= words='' files= ;;
		esac
		;;
	zone_append | zap)
		flags='-p --print' words='' files=
		;;
	zone_close | zc)
		flags='' words='' files=
		;;
	zone_finish | zf)
		flags='' words='' files=
		;;
	zone_open | zo)
		flags='' words='' files=
		;;
	zone_report | zrp)
		flags='' words='' files=
		;;
	zone_reset | zrs)
		flags='' words='' files=
		;;
	esac
	[[ $cur == -* && $flags ]] && words=$flags files=
}

_blksh() {
	local line=${COMP_LINE:0:COMP_POINT} typed cur prev i value= file= command= flags= words= files=
	read -ra typed <<<"$line"
	[[ $line == *[[:blank:]] ]] && typed+=('')
	cur=${typed[-1]} prev=${typed[-2]}
	for ((i = 1; i < ${#typed[@]} - 1; i++)); do
		case ${typed[i]} in
		--*=*) ;;
		--object | -c | --cmd | -f | --format | -i | --aio | -t | --cache | -d | --discard | -T | --trace | --undo | --color | --script | --dialect | --completion) ((++i == ${#typed[@]} - 1)) && value=yes ;;
		-*) ;;
		*)
			if [[ $file ]]; then
				command=${typed[i]}
				break
			fi
			file=${typed[i]}
			;;
		esac
	done
	if [[ $cur == --*=* ]]; then
		prev=${cur%%=*} cur=${cur#*=} value=yes
	fi
	if [[ $command ]]; then
		_blksh_operands "$command"
	elif [[ $value ]]; then
		_blksh_value
	elif [[ $cur == -* ]]; then
		words='--object --image-opts -c --cmd -f --format -r --read-only -s --snapshot -n --nocache -C --copy-on-read -m --misalign -k --native-aio -i --aio -t --cache -d --discard -T --trace -U --force-share -h --help -V --version -w --write --in-use --allow-backing-device --share --undo --strict --rmw --no-rc --yes --json --color --script --keep-going --deterministic --dialect --step --completion --licenses'
	elif [[ $file ]]; then
		words='abort aio_cancel aio_discard aio_flush aio_list aio_read aio_wait aio_write alloc amend bench bitmap break capabilities check close commit compare copy create discard edit exports find flush help images info iszero length luks map measure merge multiwrite next open quit read readv rebase remove_break reopen resize resume serve show sigraise sleep snapshot source sum truncate undo use verify_job verify_read verify_write version view wait_break wire write writev zone_append zone_close zone_finish zone_open zone_report zone_reset'
	else
		files=yes
	fi
	COMPREPLY=()
	if [[ $files ]]; then
		compopt -o filenames
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
	elif [[ $words ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
	fi
}
complete -F _blksh blksh
